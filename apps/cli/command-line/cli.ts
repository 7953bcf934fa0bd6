/** What a command uses of the world: its streams, environment, folder and colours. Tests pass their own. */
import { styleText } from 'node:util';

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

/** What colours say. Only a terminal without NO_COLOR (no-color.org) gets them. */
export type Tone = 'good' | 'bad' | 'warn' | 'strong' | 'faint';
export type Paint = (tone: Tone, text: string) => string;

const FORMATS = { good: 'green', bad: 'red', warn: 'yellow', strong: 'bold', faint: 'dim' } as const;

export function createPaint(stream: Output, env: Readonly<NodeJS.ProcessEnv>): Paint {
  const colours = stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
  if (!colours) return plain;
  return (tone, text) => styleText(FORMATS[tone], text, { validateStream: false });
}

export const plain: Paint = (_tone, text) => text;
