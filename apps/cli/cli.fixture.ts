/** Runs the real CLI as a separate process, for the tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
    templateDatabase: string;
  }
}

export const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

export interface CliPlace {
  /** The program of another release; default: this checkout's. */
  readonly main?: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface CliProcess {
  readonly pid: number;
  /** Resolves when its standard output matches. If it ends before or stays silent, rejects with its whole output. */
  waitFor(pattern: RegExp, withinMs?: number): Promise<void>;
  /** Returns its standard output so far. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<Ended>;
}

export function startCli(args: readonly string[], { main = MAIN, cwd, env }: CliPlace): CliProcess {
  const { DATABASE_URL, REDIS_URL, PORT, TANDEM_URL, ...inherited } = process.env;
  const child = spawn(process.execPath, [main, ...args], { cwd, env: { ...inherited, ...env }, stdio: 'pipe' });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.err += text;
  });
  const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, ...said })));
  return {
    pid: child.pid ?? -1,
    waitFor: (pattern, withinMs = 180_000) => waitForOutput(child, said, pattern, withinMs),
    output: () => said.out,
    kill: (signal) => void child.kill(signal),
    ended,
  };
}

export function runCli(args: readonly string[], place: CliPlace): Promise<Ended> {
  return startCli(args, place).ended;
}

function waitForOutput(
  child: ChildProcess,
  said: Omit<Ended, 'code'>,
  pattern: RegExp,
  withinMs: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      clearTimeout(timer);
      child.stdout?.off('data', look);
      child.off('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const look = () => {
      if (pattern.test(said.out)) settle();
    };
    const fail = (why: string) => settle(new Error(`${why} before ${pattern}:\n${said.out}\n${said.err}`));
    const onClose = () => fail('the process ended');
    const timer = setTimeout(() => fail(`${withinMs} ms passed`), withinMs);
    child.stdout?.on('data', look);
    child.once('close', onClose);
    look();
  });
}
