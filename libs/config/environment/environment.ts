/**
 * Reads the environment: servers, secrets and sizes, which differ between machines. Each app composes the sections that
 * it uses (environment-sections.ts), so that no variable is defined twice. All problems are reported at once.
 */

import { readFileSync } from 'node:fs';
import { type ConfigProblem, configError, nearestName, writeNearest } from '../predictor/config-problem.ts';

/** Reads the variables of one section and collects their problems for the reader. */
export type Section<T> = (read: VariableReader) => T;

/**
 * Reads the sections of the environment.
 * @example readEnvironment(process.env, { database, http }).http.port
 * @throws TandemError `config_invalid` naming each variable, its value (never a secret) and the remedy
 */
export function readEnvironment<S extends Record<string, Section<unknown>>>(
  env: Variables,
  sections: S,
): { readonly [K in keyof S]: ReturnType<S[K]> } {
  const reader = createVariableReader(env);
  const values = Object.fromEntries(Object.entries(sections).map(([name, section]) => [name, section(reader)]));
  const problems = reader.problems();
  if (problems.length > 0) throw configError(problems);
  return values as { [K in keyof S]: ReturnType<S[K]> };
}

/** Environment variables by name. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** The allowed forms of a URL. */
interface UrlForm {
  /** The allowed protocols, each with a colon. */
  readonly protocols: readonly string[];
  /** Returns a further problem of an address that has an allowed protocol, without the password; null if there is none. */
  readonly problemOf?: (url: string) => Pick<ConfigProblem, 'problem' | 'remedy'> | null;
}

/**
 * A reader of single variables that collects their problems. An invalid variable gets a placeholder value until the
 * problems are reported.
 */
export interface VariableReader {
  /**
   * Reads a connection URL, which may contain a password; also from the file that `<name>_FILE` names.
   * @param instead the value if the variable is not set; without it, the variable is required
   */
  url(name: string, form: UrlForm, example: string, instead?: string): string;
  /** Reads a secret of at least this length, also from the file that `<name>_FILE` names; null if none is set. */
  secret(name: string, least: number, remedy: string): string | null;
  /** Reads a whole number within bounds. */
  whole(name: string, bounds: { least: number; most: number; instead: number }): number;
  /** Reads a whole number within bounds; null if it is not set. */
  optionalWhole(name: string, bounds: { least: number; most: number }): number | null;
  /** Reads a share, from 0 to 1. */
  share(name: string, instead: number): number;
  oneOf<T extends string>(name: string, choices: readonly T[], instead: T): T;
  /** Reads a host name or address. */
  host(name: string, instead: string): string;
  /** Reads host names or addresses, separated by spaces. */
  hosts(name: string): readonly string[];
  /** Adds a problem that involves several variables. */
  refuse(name: string, problem: string, remedy: string): void;
  problems(): readonly ConfigProblem[];
}

function createVariableReader(env: Variables): VariableReader {
  const problems: ConfigProblem[] = [];
  const refuse: VariableReader['refuse'] = (path, problem, remedy) => {
    // Two sections may read the same variable; its problem is reported once.
    const known = problems.some((other) => other.path === path && other.problem === problem);
    if (!known) problems.push({ file: 'environment', path, problem, remedy });
  };
  const source: Source = { env, refuse };
  return {
    url: (name, form, example, instead) => readUrl(source, name, form, example, instead),
    secret: (name, least, remedy) => readLongSecret(source, name, least, remedy),
    whole: (name, { instead, ...bounds }) => readWhole(source, name, bounds) ?? instead,
    optionalWhole: (name, bounds) => readWhole(source, name, bounds),
    share: (name, instead) => readShare(source, name) ?? instead,
    oneOf: (name, choices, instead) => readChoice(source, name, choices) ?? instead,
    host: (name, instead) => readHost(source, name) ?? instead,
    hosts: (name) => readHosts(source, name),
    refuse,
    problems: () => problems,
  };
}

interface Source {
  readonly env: Variables;
  readonly refuse: VariableReader['refuse'];
}

/** Returns the value of a variable. An empty value, as compose files and shells set it, counts as not set. */
function textOf({ env }: Source, name: string): string | undefined {
  return env[name]?.trim() || undefined;
}

function readWhole(source: Source, name: string, { least, most }: { least: number; most: number }): number | null {
  const text = textOf(source, name);
  if (text === undefined) return null;
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && value >= least && value <= most) return value;
  const problem = `is ${JSON.stringify(text)}, not a whole number from ${least} to ${most}`;
  source.refuse(name, problem, 'write one, or unset it');
  return null;
}

function readShare(source: Source, name: string): number | null {
  const text = textOf(source, name);
  if (text === undefined) return null;
  if (/^(0|1|[01]?\.[0-9]+)$/.test(text) && Number(text) <= 1) return Number(text);
  source.refuse(name, `is ${JSON.stringify(text)}, not a number from 0 to 1`, 'write one, such as 0.25, or unset it');
  return null;
}

function readChoice<T extends string>(source: Source, name: string, choices: readonly T[]): T | undefined {
  const text = textOf(source, name);
  const choice = choices.find((one) => one === text?.toLowerCase());
  if (text === undefined || choice !== undefined) return choice;
  const remedy = writeNearest(text, choices) ?? 'write one of these, or unset it';
  source.refuse(name, `is ${JSON.stringify(text)}, not one of ${choices.join(', ')}`, remedy);
  return undefined;
}

const HOST = /^[A-Za-z0-9.:_-]{1,253}$/;

function readHost(source: Source, name: string): string | undefined {
  const text = textOf(source, name);
  if (text === undefined || HOST.test(text)) return text;
  const problem = `is ${JSON.stringify(text)}, not a host name or address`;
  source.refuse(name, problem, 'write 127.0.0.1, 0.0.0.0, :: or a name');
  return undefined;
}

function readHosts(source: Source, name: string): readonly string[] {
  const found = textOf(source, name)?.split(/\s+/) ?? [];
  const wrong = found.find((host) => !HOST.test(host));
  if (wrong === undefined) return found;
  source.refuse(name, `names ${JSON.stringify(wrong)}, not a host name or address`, 'write names separated by spaces');
  return [];
}

function readUrl(
  source: Source,
  name: string,
  { protocols, problemOf = () => null }: UrlForm,
  example: string,
  instead: string | undefined,
): string {
  const text = readSecret(source, name);
  // A file that could not be read was already reported, so a missing value is not reported as well.
  if (text === null) return '';
  if (text === undefined) {
    if (instead !== undefined) return instead;
    const others = Object.keys(source.env).filter((other) => other !== name && !other.endsWith('_FILE'));
    const meant = nearestName(name, others);
    const hint =
      meant && editedOnly(name, meant)
        ? `; ${meant} is set, which Tandem does not read; if you meant it for Tandem, rename it to ${name}`
        : '';
    source.refuse(name, 'is not set', `set it, such as ${name}=${example}${hint}`);
    return '';
  }
  const wrong = urlProblem(text, protocols, example) ?? problemOf(text);
  if (wrong) source.refuse(name, wrong.problem, wrong.remedy);
  return text;
}

/**
 * Returns whether two names differ only by a typing error, as DATABSE_URL and DATABASE_URL do, but not QUEUE_REDIS_URL
 * and REDIS_URL.
 */
function editedOnly(name: string, other: string): boolean {
  return Math.abs(name.length - other.length) <= 2;
}

/** Returns the value of a variable, or the content of the file that `<name>_FILE` names; null if it was rejected. */
function readSecret(source: Source, name: string): string | undefined | null {
  const direct = textOf(source, name);
  const file = textOf(source, `${name}_FILE`);
  if (file === undefined) return direct;
  if (direct !== undefined) {
    source.refuse(name, `is set, and so is ${name}_FILE`, 'unset one of the two');
    return null;
  }
  try {
    const content = readFileSync(file, 'utf8').trim();
    if (content !== '') return content;
    source.refuse(`${name}_FILE`, `names ${file}, which is empty`, 'write the value into the file');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error;
    const problem = `names ${file}, which cannot be read (${code})`;
    source.refuse(`${name}_FILE`, problem, 'fix the path, or make the file readable');
  }
  return null;
}

function readLongSecret(source: Source, name: string, least: number, remedy: string): string | null {
  const text = readSecret(source, name) ?? null;
  if (text === null || text.length >= least) return text;
  source.refuse(name, `has ${text.length} characters, fewer than ${least} (its value is not shown)`, remedy);
  return null;
}

function urlProblem(
  text: string,
  protocols: readonly string[],
  example: string,
): Pick<ConfigProblem, 'problem' | 'remedy'> | null {
  // Of several hosts, separated by commas, only the first is checked.
  const first = text.replace(/^([^/]+:\/\/(?:[^/?#]*@)?[^,/?#]+)(?:,[^,/?#]+)+/, '$1');
  const url = URL.canParse(first) ? new URL(first) : null;
  const wanted = protocols.map((protocol) => `${protocol}//`).join(' or ');
  const remedy = `write it like ${example}`;
  // A value that is not a URL may be a password.
  if (!url?.hostname) {
    const problem = `is not a URL that starts with ${wanted} and names a host (its value is not shown)`;
    return { problem, remedy: `${remedy}; percent-encode special characters in the password` };
  }
  if (protocols.includes(url.protocol)) return null;
  return { problem: `is ${maskUrl(text)}, which does not start with ${wanted}`, remedy };
}

/** Returns the URL with every password replaced by `***`. It is safe for a text that is not a URL. */
export function maskUrl(url: string): string {
  return (
    url
      // Matches up to the last @ before the host, since the password may contain an unescaped @.
      .replace(/(:\/\/[^/?#@:\s]*):[^\s]*@/g, '$1:***@')
      .replace(/([?&](?:[a-z_-]*password|[a-z_-]*secret|[a-z_-]*token)=)[^&#\s]*/gi, '$1***')
  );
}
