/** What a command may touch of the world: its streams, environment and folder. Tests hand in their own. */
import { createPaint, type Paint } from './paint.ts';

/** The part of a terminal stream that is used here. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface Cli {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly cwd: string;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** Registers what happens when it is pressed again, just before the process ends; gives what takes it back. */
  readonly whenForced: (act: () => void) => () => void;
  /** Asks on the terminal; undefined where nobody is there to answer. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Colours for standard output. */
  readonly paint: Paint;
}

export type CliParts = Omit<Cli, 'paint'>;

export function createCli(parts: CliParts): Cli {
  return { ...parts, paint: createPaint(parts.stdout, parts.env) };
}

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
}

/** A command's result: as one JSON document where that is asked for, else as the lines that `render` makes of it. */
export function present<T>(
  cli: Cli,
  options: CommonOptions,
  result: T,
  render: (result: T) => readonly string[],
): void {
  if (options.json) cli.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else for (const line of render(result)) cli.stdout.write(`${line}\n`);
}
