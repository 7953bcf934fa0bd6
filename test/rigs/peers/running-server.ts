/**
 * Runs a peer as a process: starts it with its own environment, polls until it answers, and ends it with its
 * descendants.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { lastLines } from '@tandem/local-servers/server-process';
import { treeOf } from '../bench/process-usage.ts';
import type { Variables } from '../bench/service.ts';

/** A running server with one or several processes. */
export interface RunningServer {
  readonly url: string;
  /** The root of its process tree. */
  readonly pid: number;
  /** Ends all processes of the server. May be called twice. */
  stop(): Promise<void>;
}

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly folder: string;
  /** All environment variables. */
  readonly variables: Variables;
  readonly url: string;
  /** The path that answers with status 200 once the server is ready. */
  readonly readyPath: string;
  /** The file for the output. */
  readonly logFile: string;
}

const READY_WITHIN_MS = 120_000;
const LOOK_EVERY_MS = 200;
const LINES_SHOWN = 15;
const ENDS_WITHIN_MS = 15_000;

/** The running servers. They are killed with their descendants when this process ends for any reason. */
const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const { pid } of living) if (pid !== undefined) for (const one of treeOf([pid])) killIfAlive(one);
});

/** Starts a server. Resolves when it is ready. If it ends or does not answer, ends all its processes and rejects. */
export async function launch(options: Launch): Promise<RunningServer> {
  const { command, args, folder, variables, url, logFile } = options;
  const child = spawn(command, args, {
    cwd: folder,
    env: variables,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  living.add(child);
  child.once('exit', () => living.delete(child));
  const log = createWriteStream(logFile, { flags: 'a' });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const failure = new Promise<never>((_, reject) => child.once('error', reject));
  failure.catch(() => {});
  const server = { url, pid: child.pid ?? -1, stop: () => endTree(child) };
  try {
    await Promise.race([becomeReady(child, options), failure]);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function becomeReady(child: ChildProcess, { command, url, readyPath, logFile }: Launch): Promise<void> {
  for (const until = performance.now() + READY_WITHIN_MS; performance.now() < until; await pause(LOOK_EVERY_MS)) {
    if (hasEnded(child))
      throw new Error(`${command} ended before it answered; its last lines:\n${lastLinesOf(logFile)}`);
    const response = await fetch(url + readyPath, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
    await response?.body?.cancel();
    if (response?.ok) return;
  }
  const seconds = READY_WITHIN_MS / 1000;
  throw new Error(
    `${command} did not answer ${readyPath} within ${seconds} s; its last lines:\n${lastLinesOf(logFile)}`,
  );
}

function lastLinesOf(file: string): string {
  return lastLines(readFileSync(file, 'utf8').trimEnd(), LINES_SHOWN);
}

/** Sends SIGTERM to the root, then kills the remaining processes of its tree. */
async function endTree(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  const tree = treeOf([child.pid]);
  if (!hasEnded(child)) {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await Promise.race([ended, pause(ENDS_WITHIN_MS, undefined, { ref: false })]);
  }
  for (const pid of tree) if (pid !== child.pid || !hasEnded(child)) killIfAlive(pid);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has ended.
  }
}
