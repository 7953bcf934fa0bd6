/**
 * A server as a separate process group. Ctrl-C in a terminal signals the whole foreground group, and a server that
 * died first would fail processes that are still finishing work. So servers have groups of their own, and the parent
 * ends them in its own order. Their output goes to a file, not a pipe: when the parent is killed they live on unharmed,
 * and the next start finds them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { type EndStep, endProcess, readProcess } from './process-identity.ts';

/** A running local server, as the starters of this package return it. */
export interface LocalServer {
  /** The URL with user and password. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when the server has ended, asked or not, with the reason in words. Never rejects. */
  readonly exited: Promise<string>;
  /** Ends it in order; resolves when it has ended. May be called twice. */
  stop(): Promise<void>;
}

export interface ServerProcess {
  readonly pid: number;
  readonly startedAt: string;
  readonly exited: Promise<string>;
  hasExited(): boolean;
  /** Ends it by these steps and waits until it is gone. */
  end(steps: readonly EndStep[]): Promise<void>;
  /** Returns the output of the server since this start. */
  readOutput(): string;
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

const LARGEST_OUTPUT_FILE = 20 * 1024 * 1024;

export function startServerProcess(command: ServerCommand): ServerProcess {
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
  // A forgotten server must not keep its parent from ending.
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
    end: async (steps) => {
      // Its exit has to be seen, and nothing else may be keeping this process alive until then.
      child.ref();
      if (await endProcess({ pid, startedAt }, steps)) await exited;
    },
    readOutput: () => readFileSync(outputFile).subarray(offset).toString('utf8').trim(),
  };
}

function waitForExit(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `ended by ${signal}`));
  });
}

/** Keeps one older file beside the current one. Returns where this start's output begins. */
function turnOver(outputFile: string): number {
  const size = statSync(outputFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size < LARGEST_OUTPUT_FILE) return size;
  renameSync(outputFile, `${outputFile}.1`);
  return 0;
}

/** The end of a server's output, for an error message. */
export function lastLines(text: string, count = 12): string {
  return text.split('\n').slice(-count).join('\n');
}
