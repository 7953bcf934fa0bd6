/** Runs a short command to its end and returns its output. */
import { spawn } from 'node:child_process';

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly argv0?: string | undefined;
  readonly input?: string;
  readonly timeoutMs?: number;
}

export interface CommandResult {
  /** The exit code; 127 if the program does not exist or cannot be run, as in a shell; null if a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function runCommand(
  program: string,
  args: readonly string[],
  { input = '', timeoutMs = 300_000, ...options }: CommandOptions = {},
): Promise<CommandResult> {
  const { uid, gid, argv0, ...rest } = options;
  const identity = { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) };
  const named = argv0 === undefined ? {} : { argv0 };
  const child = spawn(program, args, { ...rest, ...identity, ...named, stdio: 'pipe' });
  // The timeout of `spawn` is not used, since its timer outlives a program that could not be started.
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // For a program that ends before it has read its input, only the exit code counts.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise<CommandResult>((resolve) => {
    child.once('error', (error) => resolve({ code: 127, stdout, stderr: error.message }));
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  }).finally(() => clearTimeout(timer));
}
