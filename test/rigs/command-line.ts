/** The command lines of the rigs: `--help` prints the help text, and a wrong option ends the process with a message and code 2. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

/** An error in the command line. Its message names the option and says what it takes. */
export class UsageError extends Error {}

type Values<T extends ParseArgsOptionsConfig> = ReturnType<typeof parseArgs<{ options: T }>>['values'];
type Parsed<T extends ParseArgsOptionsConfig> = Values<T> & { readonly help?: boolean };

/** Exits the process, after it has printed a text to the stream of the code: 0 is no error. */
export type Exit = (code: 0 | 2, text: string) => never;

interface ReadingOptions {
  readonly args?: string[];
  readonly exit?: Exit;
  readonly allowPositionals?: boolean;
}

/**
 * Returns the command line as `read` understands it. Ends the process where `--help` is given, or an option is wrong.
 * @param help begins with the command, as in `npm run bench -- [options]`
 * @param read checks the values, and the arguments that are no options; throws a `UsageError` for a value that the rig
 * does not take
 * @param allowPositionals whether there may be such arguments; by default they are rejected
 */
export function readCommandLine<const T extends ParseArgsOptionsConfig, C>(
  help: string,
  options: T,
  read: (values: Values<T>, positionals: readonly string[]) => C,
  { args = process.argv.slice(2), exit = exitWith, allowPositionals = false }: ReadingOptions = {},
): C {
  try {
    const parsed = parseArgs({ args, options: { ...options, help: { type: 'boolean' } }, allowPositionals });
    const values = parsed.values as Parsed<T>;
    return values.help ? exit(0, help) : read(values, parsed.positionals);
  } catch (error) {
    if (error instanceof UsageError || isOptionError(error)) return exit(2, `${error.message}\n\n${help}`);
    throw error;
  }
}

/** Returns the whole number that an option gives. Throws `UsageError` for any other text. */
export function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = numberIn(text, least, most);
  if (value !== null && Number.isInteger(value)) return value;
  throw new UsageError(`--${option} takes a whole number from ${least} to ${most}, not ${JSON.stringify(text)}`);
}

/** Returns the number that an option gives. Throws `UsageError` for any other text. */
export function anyNumber(option: string, text: string, least: number, most: number): number {
  const value = numberIn(text, least, most);
  if (value !== null) return value;
  throw new UsageError(`--${option} takes a number from ${least} to ${most}, not ${JSON.stringify(text)}`);
}

function numberIn(text: string, least: number, most: number): number | null {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  return value >= least && value <= most ? value : null;
}

/** The seeds that `--seed` takes: up to ten digits. */
export const MOST_SEED = 9_999_999_999;

/** Returns the entries of a list with commas, in its order. Throws `UsageError` for a name that is not known. */
export function namedIn<T extends { readonly name: string }>(option: string, text: string, known: readonly T[]): T[] {
  return text.split(',').map((name) => {
    const found = known.find((one) => one.name === name);
    if (found) return found;
    const names = known.map((one) => one.name).join(', ');
    throw new UsageError(`--${option} names ${JSON.stringify(name)}; known are ${names}`);
  });
}

function isOptionError(error: unknown): error is Error {
  return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_');
}

function exitWith(code: 0 | 2, text: string): never {
  (code === 0 ? process.stdout : process.stderr).write(text.endsWith('\n') ? text : `${text}\n`);
  process.exit(code);
}
