/**
 * The corpus of hostile requests: one file each under `requests/`. A file begins with comments (`#`, the reason for the
 * request). Then come the expectations, and below `===` the text to send.
 *
 *     # Two lengths: a proxy and the service would disagree where the request ends.
 *     answer: 400 malformed_request
 *     connection: closes
 *     ===
 *     POST /v1/events HTTP/1.1
 *     …
 *
 * - `answer: <status> [<problem>]`: one line for each answer, in order. `400|404` allows two statuses. `answer: none`
 *   means that the connection is closed without an answer.
 * - `field:`, `detail:`, `header: <name>: <value>`: fields of the last answer. It must contain the texts of `detail`
 *   and header.
 * - `connection: closes` or `stays`: the state of the connection after the last answer.
 * - `changes: yes`: the request may change stored data. Other requests must not.
 * - `users: text`: the request goes to a service whose user ids are texts. By default they are whole numbers.
 * - `times: <n>`: the text is sent n times at once. Each answer must match the first `answer`.
 * - `served: <n>`: at least n of these requests are answered before the connection ends. By default all are.
 * - `within: <ms>`: the time limit of the last answer.
 *
 * The text may have several requests with `---` between them. Each waits for the previous answer. render.ts describes
 * how lines become bytes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { HostileKey } from './service.ts';

export interface ExpectedAnswer {
  /** The expected statuses, or none if no answer is expected. */
  readonly statuses: readonly number[];
  /** The problem's code, if the answer must be a problem. */
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
  /** The least number of the repeated requests that must be answered. */
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

/** Reads the whole corpus, sorted by name. */
export function readCorpus(): readonly HostileRequest[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.http'))
    .sort()
    .map((file) =>
      parseRequest(relative('.', file).slice(0, -'.http'.length), readFileSync(join(folder, file), 'utf8')),
    );
}

/** Parses a corpus file. Throws if a line of its head is not known. */
export function parseRequest(name: string, text: string): HostileRequest {
  const cut = text.indexOf('\n===\n');
  if (cut < 0) throw new Error(`${name}: no === above the text to send`);
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
    // The last line break belongs to the file, not to the request.
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
