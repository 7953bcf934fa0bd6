/**
 * Runs a server as a separate process group. Ctrl-C in a terminal signals the whole foreground group, and processes
 * that are finishing work would fail if the server died first. So each server has its own group, and the parent ends
 * the servers in order. Their output goes to a file instead of a pipe, so that they survive if the parent is killed,
 * and the next start finds them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, realpathSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type EndStep, endProcess, readProcess } from './process-identity.ts';

/** A running local server, as the starters of this package return it. */
export interface LocalServer {
  /** The URL with user and password. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when the server has ended for any cause, with the reason as text. Never rejects. */
  readonly exited: Promise<string>;
  /** Ends the server. Resolves when it has ended. May be called twice. */
  stop(): Promise<void>;
}

export interface ServerCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly argv0?: string | undefined;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly outputFile: string;
}

/** Creates a server's folder with this mode, if it is missing. Returns its path without links. */
export function prepareFolder(folder: string, mode: number): string {
  mkdirSync(dirname(folder), { recursive: true });
  mkdirSync(folder, { recursive: true, mode });
  return realpathSync(folder);
}

const LARGEST_OUTPUT_FILE = 20 * 1024 * 1024;

export type ServerProcess = ReturnType<typeof startServerProcess>;

export function startServerProcess(command: ServerCommand) {
  const { program, args, argv0, cwd, env, uid, gid, outputFile } = command;
  const offset = turnOver(outputFile);
  const output = openSync(outputFile, 'a', 0o600);
  const identity = { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) };
  const named = argv0 === undefined ? {} : { argv0 };
  const child = spawn(program, args, {
    cwd,
    env,
    ...identity,
    ...named,
    detached: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  // A server that was not stopped must not keep its parent alive.
  child.unref();
  let gone = false;
  const exited = waitForExit(child).then((reason) => {
    gone = true;
    return reason;
  });
  const pid = child.pid ?? -1;
  const startedAt = readProcess(pid)?.startedAt ?? '';
  return {
    pid,
    startedAt,
    exited,
    hasExited: () => gone,
    /** Ends the server by these steps, and waits for its end. */
    end: async (steps: readonly EndStep[]) => {
      // Keeps this process alive until the exit of the server, since nothing else may do so.
      child.ref();
      if (await endProcess({ pid, startedAt }, steps)) await exited;
    },
    /** Returns the output of the server since this start. */
    readOutput: () => readFileSync(outputFile).subarray(offset).toString('utf8').trim(),
  };
}

/** Returns how a child ended, in words. */
export function waitForExit(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `ended by ${signal}`));
  });
}

/** Keeps one older log file. Returns the offset at which this start's output begins. */
function turnOver(outputFile: string): number {
  const size = statSync(outputFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size < LARGEST_OUTPUT_FILE) return size;
  renameSync(outputFile, `${outputFile}.1`);
  return 0;
}

/** Returns the end of a server's output, for an error message. */
export function lastLines(text: string, count = 12): string {
  return text.split('\n').slice(-count).join('\n');
}
