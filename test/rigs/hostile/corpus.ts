/**
 * The corpus of hostile requests: one file each under `requests/`. A file begins with comments (`#`, why this is sent),
 * then says what must come of it, then, below `===`, what is sent.
 *
 *     # Two lengths: a proxy and the service would disagree where the request ends.
 *     answer: 400 malformed_request
 *     connection: closes
 *     ===
 *     POST /v1/events HTTP/1.1
 *     …
 *
 * - `answer: <status> [<problem>]`, once for each answer, in order; a status may be several (`400|404`); `answer: none`:
 *   the connection is closed without one
 * - `field:`, `detail:`, `header: <name>: <value>` of the last answer; `detail` and a header's value are parts of theirs
 * - `connection: closes` or `stays`, after the last answer
 * - `changes: yes`: the request may change what is stored; all others must not
 * - `users: text`: sent to a service whose user ids are texts; otherwise they are whole numbers
 * - `times: <n>`: what is sent is sent so often, in one go; each answer must be as the first `answer` says
 * - `served: <n>`: of these at least so many are answered, before the connection ends; otherwise all are
 * - `within: <ms>`: the last answer must have come by then
 *
 * What is sent may be several requests with `---` between; each waits for the answer before it. render.ts says how lines
 * become bytes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { HostileKey } from './service.ts';

export interface ExpectedAnswer {
  /** Those that are right; empty: none at all. */
  readonly statuses: readonly number[];
  /** The problem's code, where it must be one. */
  readonly problem: string | null;
}

export interface HostileRequest {
  /** `framing/two-lengths`. */
  readonly name: string;
  readonly why: string;
  readonly users: HostileKey;
  readonly answers: readonly ExpectedAnswer[];
  readonly field: string | null;
  readonly detail: string | null;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly connection: 'closes' | 'stays' | null;
  readonly mayChange: boolean;
  readonly times: number;
  /** How many of them must be answered at least. */
  readonly served: number;
  readonly withinMs: number;
  /** The text of each request. */
  readonly sent: readonly string[];
}

const folder = join(import.meta.dirname, 'requests');
const KEYS = new Set([
  'answer',
  'field',
  'detail',
  'header',
  'connection',
  'changes',
  'users',
  'times',
  'served',
  'within',
]);

/** The whole corpus, by name. */
export function readCorpus(): readonly HostileRequest[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.http'))
    .sort()
    .map((file) =>
      parseRequest(relative('.', file).slice(0, -'.http'.length), readFileSync(join(folder, file), 'utf8')),
    );
}

/** Throws if the file has a line that is not used. */
export function parseRequest(name: string, text: string): HostileRequest {
  const cut = text.indexOf('\n===\n');
  if (cut < 0) throw new Error(`${name}: no === above what is sent`);
  const head = text.slice(0, cut).split('\n');
  const why = head.filter((line) => line.startsWith('#')).map((line) => line.slice(1).trim());
  const said = new Map<string, string[]>();
  for (const line of head.filter((line) => !line.startsWith('#'))) {
    const [key = '', ...rest] = line.split(': ');
    if (!KEYS.has(key) || rest.length === 0) throw new Error(`${name}: cannot read ${JSON.stringify(line)}`);
    said.set(key, [...(said.get(key) ?? []), rest.join(': ')]);
  }
  const one = (key: string) => said.get(key)?.at(-1) ?? null;
  return {
    name,
    why: why.join(' '),
    users: oneOf(name, one('users') ?? 'int8', ['int8', 'text'] as const),
    answers: (said.get('answer') ?? []).map(parseAnswer),
    field: one('field'),
    detail: one('detail'),
    headers: (said.get('header') ?? []).map(parseHeader),
    connection: one('connection') === null ? null : oneOf(name, one('connection'), ['closes', 'stays'] as const),
    mayChange: one('changes') === 'yes',
    times: Number(one('times') ?? 1),
    served: Number(one('served') ?? one('times') ?? 1),
    withinMs: Number(one('within') ?? 10_000),
    // The file's last line end is an editor's, not the request's.
    sent: text
      .slice(cut + '\n===\n'.length)
      .replace(/\n$/, '')
      .split('\n---\n'),
  };
}

function parseAnswer(text: string): ExpectedAnswer {
  const [statuses = '', problem = null] = text.split(' ');
  return { statuses: statuses === 'none' ? [] : statuses.split('|').map(Number), problem };
}

function parseHeader(text: string): readonly [string, string] {
  const colon = text.indexOf(': ');
  return [text.slice(0, colon).toLowerCase(), text.slice(colon + 2)];
}

function oneOf<T extends string>(name: string, given: string | null, known: readonly T[]): T {
  const found = known.find((one) => one === given);
  if (found === undefined) throw new Error(`${name}: ${given} is none of ${known.join(', ')}`);
  return found;
}
