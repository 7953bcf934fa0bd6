/**
 * The parts of a command: its surroundings (streams, environment, folder, colours), common options, the confirmation,
 * the output, and parsers of option values.
 */
import { styleText } from 'node:util';
import { Command, type CommandUnknownOpts, InvalidArgumentError, type OptionValues } from '@commander-js/extra-typings';
import { CommandFailure, usageError } from './failure.ts';

/** The used part of a terminal stream. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Standard input as bytes. */
export interface Input extends AsyncIterable<Uint8Array> {
  readonly isTTY?: boolean;
}

export interface Cli {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly cwd: string;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /**
   * Registers a function that runs just before the process ends after a second Ctrl-C. Returns a function that removes
   * it.
   */
  readonly whenForced: (act: () => void) => () => void;
  /** Asks on the terminal; undefined if the input is not a terminal. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Colours for standard output. */
  readonly paint: Paint;
}

type CliParts = Omit<Cli, 'paint'>;

export function createCli(parts: CliParts): Cli {
  return { ...parts, paint: createPaint(parts.stdout, parts.env) };
}

/** The colours by meaning. Only a terminal without NO_COLOR (no-color.org) gets colours. */
export type Tone = 'good' | 'bad' | 'warn' | 'strong' | 'faint';
export type Paint = (tone: Tone, text: string) => string;

const FORMATS = { good: 'green', bad: 'red', warn: 'yellow', strong: 'bold', faint: 'dim' } as const;

export function createPaint(stream: Output, env: Readonly<NodeJS.ProcessEnv>): Paint {
  const colours = stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
  if (!colours) return plain;
  return (tone, text) => styleText(FORMATS[tone], text, { validateStream: false });
}

export const plain: Paint = (_tone, text) => text;

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
}

export interface ApiOptions extends CommonOptions {
  readonly url?: string;
}

/** The options that the command of a function has. */
export type OptionsOf<Create extends () => { opts(): unknown }> = ReturnType<ReturnType<Create>['opts']>;

export interface CommandText {
  /** The verb, which is typed after the noun. */
  readonly name: string;
  readonly description: string;
  readonly example: string;
  /** The help text below the options. */
  readonly detail?: string;
}

/** Creates a command with `--json` and an example in its help. */
export function createCommand(text: CommandText) {
  return beginCommand(text).option('--json', 'print one JSON document');
}

/** Creates such a command whose `--json` may name a file. */
export function createReportCommand(text: CommandText) {
  return beginCommand(text).option('--json [file]', 'print one JSON document, or write it to a file');
}

function beginCommand({ name, description, example, detail }: CommandText) {
  return new Command(name)
    .description(description)
    .addHelpText('after', `${detail === undefined ? '' : `\n${detail}\n`}\nExample: ${example}`);
}

/** Creates such a command with `--url` for the API. */
export function createApiCommand(text: CommandText) {
  return createCommand(text).option(
    '--url <address>',
    'where the API listens (TANDEM_URL; default http://127.0.0.1:8080)',
  );
}

/** Adds the options of a command that lists a page of rows, newest first. */
export function paged<Args extends unknown[], Options extends OptionValues>(
  command: Command<Args, Options>,
  before: `--before <${string}>`,
  description: string,
) {
  return command.option('--limit <count>', 'the most rows to list', parseWhole(1), 20).option(before, description);
}

/** Asks for confirmation before a change. Throws if the answer is not yes, or if there is no terminal. */
export async function confirm(cli: Cli, question: string): Promise<void> {
  const answer = await askerOf(cli)(`${question} [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailure('nothing was changed');
}

/** Returns a function that asks. Throws without a terminal, so call it before the requests that the question needs. */
export function askerOf({ ask }: Pick<Cli, 'ask'>): NonNullable<Cli['ask']> {
  if (ask !== undefined) return ask;
  throw usageError('this command asks for confirmation, but the input is not a terminal', 'add --yes');
}

/** Prints the result of a command: one JSON document with `--json`, otherwise the lines that `render` returns. */
export function present<T>(
  cli: Cli,
  options: CommonOptions,
  result: T,
  render: (result: T) => readonly string[],
): void {
  if (options.json) cli.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else for (const line of render(result)) cli.stdout.write(`${line}\n`);
}

/** Creates the command of a noun from the commands of its verbs. */
export function group(name: string, description: string, commands: readonly CommandUnknownOpts[]): Command {
  const parent = new Command(name).description(description);
  for (const command of commands) parent.addCommand(command);
  return parent;
}

/** Returns the settings without undefined ones, for which the service has defaults. */
export function given<T extends object>(settings: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** Returns a parser of whole numbers from `least` to `most`. */
export function parseWhole(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    const bounds = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`a whole number ${bounds} is expected.`);
  };
}

export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('a number is expected.');
}

/** Parses a number above 0 and below 1. */
export function parseShare(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value < 1) return value;
  throw new InvalidArgumentError('a number above 0 and below 1 is expected, such as 0.001.');
}

export function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port > 0 && port < 65_536) return port;
  throw new InvalidArgumentError('a port from 1 to 65535 is expected.');
}

/** Parses a list such as `a,b, c`. */
export function parseList(text: string): string[] {
  const entries = text.split(',').map((entry) => entry.trim());
  if (entries.every((entry) => entry !== '')) return entries;
  throw new InvalidArgumentError('values separated by commas are expected.');
}

/** Parses the value of `--data`, a JSON object. */
export function parseJsonObject(text: string): Record<string, unknown> {
  const value = parseJson(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InvalidArgumentError(`a JSON object is expected, like '{"amount": 12.5}'.`);
}

function parseJson(text: string): unknown {
  try {
    // JSON.parse turns 1e400 into Infinity, which would be sent as null.
    return JSON.parse(text, (name, value: unknown) => {
      if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`${name} is not a finite number`);
      return value;
    });
  } catch (error) {
    throw new InvalidArgumentError(`the value is not JSON (${error instanceof Error ? error.message : error}).`);
  }
}

/** Parses `auc=0.82` and adds it to the values of earlier occurrences. */
export function parseMetric(text: string, before: Readonly<Record<string, number>> = {}): Record<string, number> {
  const [, name, number] = /^([^=]{1,64})=(\S+)$/.exec(text) ?? [];
  const value = Number(number);
  if (name !== undefined && number !== undefined && Number.isFinite(value)) return { ...before, [name]: value };
  throw new InvalidArgumentError('a name and a number are expected, such as auc=0.82.');
}
