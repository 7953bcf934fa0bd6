/**
 * Reads a history file for `tandem value`: NDJSON with a head, and then a line for each context, event and read
 * (docs/value.md).
 */

import { CommandFailure } from '@tandem/commands/failure';
import { lineFailure, readLines } from '@tandem/commands/read-text-file';
import type { FeatureRow, Outcome, Step, ValueHistory } from '../value-history.ts';

const FORMAT = 'tandem-value-1';
const FORM = 'docs/value.md describes the lines of a history';

interface Head {
  readonly predictor: string;
  readonly from: number;
  readonly to: number;
  readonly features: readonly string[];
  readonly users: number | null;
  readonly simulated: boolean;
}

type Line = Readonly<Record<string, unknown>>;

/** Reads the file. Rejects with a CommandFailure that names the line. */
export async function readHistory(file: string) {
  let no = 0;
  let builder: HistoryBuilder | undefined;
  const fail = (problem: string): never => {
    throw lineFailure(file, no, problem, FORM);
  };
  for await (const text of readLines(file)) {
    no++;
    if (text.trim() === '') continue;
    const line = parse(text, fail);
    if (builder) builder.add(line, no);
    else builder = new HistoryBuilder(headOf(line, fail), fail);
  }
  if (builder) return builder.finish();
  throw new CommandFailure(`${file}: the file is empty`, { remedy: FORM });
}

type Fail = (problem: string) => never;

function parse(text: string, fail: Fail): Line {
  try {
    const line: unknown = JSON.parse(text);
    if (typeof line === 'object' && line !== null && !Array.isArray(line)) return line as Line;
  } catch (error) {
    return fail(`it is not JSON (${error instanceof Error ? error.message : error})`);
  }
  return fail('it is not a JSON object');
}

function headOf(line: Line, fail: Fail): Head {
  if (line.format !== FORMAT) fail(`the first line has no "format": "${FORMAT}"`);
  checkKeys(line, 'the head', ['format', 'predictor', 'features', 'users', 'from', 'to', 'simulated'], fail);
  const { predictor, features, users = null, simulated = false } = line;
  if (typeof predictor !== 'string') return fail('its predictor is not a string');
  if (!Array.isArray(features) || features.length === 0 || !features.every((name) => typeof name === 'string')) {
    return fail('its features are not a list of names');
  }
  if (users !== null && !(Number.isSafeInteger(users) && Number(users) > 0)) fail('its users are not a whole number');
  if (typeof simulated !== 'boolean') return fail('simulated is neither true nor false');
  const [from, to] = [momentOf(line.from, 'from', fail), momentOf(line.to, 'to', fail)];
  if (from >= to) fail('from is not before to');
  return { predictor, from, to, features: features as string[], users: users as number | null, simulated };
}

const LINES = {
  context: { name: 'a context', keys: ['user', 'at', 'kind', 'features'] },
  event: { name: 'an event', keys: ['user', 'at', 'kind'] },
  read: { name: 'a read', keys: ['user', 'at', 'kind', 'outcome'] },
} as const;

/** Fails for a mistyped key, which would otherwise leave a value out. */
function checkKeys(line: Line, name: string, keys: readonly string[], fail: Fail): void {
  const odd = Object.keys(line).find((key) => !keys.includes(key));
  if (odd !== undefined) fail(`the key ${JSON.stringify(odd)} is unknown: ${name} has ${keys.join(', ')}`);
}

function momentOf(value: unknown, name: string, fail: Fail): number {
  const moment = typeof value === 'string' && /(Z|[+-]\d\d:\d\d)$/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(moment) ? fail(`${name} is not a time such as 2026-11-24T10:12:00Z`) : moment;
}

class HistoryBuilder {
  readonly #head: Head;
  readonly #fail: Fail;
  readonly #users = new Map<string, { readonly place: number; readonly steps: Step[] }>();
  readonly #contexts: FeatureRow[] = [];
  readonly #readLines: number[] = [];
  readonly #reads: { user: number; outcome: Outcome }[] = [];
  readonly #types: (string | undefined)[];

  constructor(head: Head, fail: Fail) {
    this.#head = head;
    this.#fail = fail;
    this.#types = head.features.map(() => undefined);
  }

  /** @param no the number of the line */
  add(line: Line, no: number): void {
    const { user } = line;
    const kind = this.#kindOf(line);
    if (typeof user !== 'string' || user === '') this.#fail('its user is not a string');
    const at = momentOf(line.at, 'at', this.#fail);
    const { place, steps } = this.#userOf(String(user));
    if ((steps.at(-1)?.at ?? at) > at) this.#fail(`it is earlier than the line of user ${user} before it`);
    if (at >= this.#head.to) this.#fail('it is not before the end of the history (to)');
    if (kind === 'context') steps.push({ kind, at, context: this.#context(line.features) });
    else if (kind === 'event') steps.push({ kind, at });
    else steps.push({ kind, at, read: this.#read(place, at, line.outcome, no) });
  }

  #kindOf(line: Line): keyof typeof LINES {
    const { kind } = line;
    if (kind !== 'context' && kind !== 'event' && kind !== 'read') {
      return this.#fail('its kind is not context, event or read');
    }
    const { name, keys } = LINES[kind];
    checkKeys(line, name, keys, this.#fail);
    return kind;
  }

  finish() {
    const { predictor, from, to, features, users, simulated } = this.#head;
    if (this.#reads.length === 0) this.#fail('the history has no read');
    const timelines = [...this.#users.values()].map(({ steps }) => steps);
    const history: ValueHistory = {
      predictor,
      from,
      to,
      simulated,
      timelines,
      contexts: this.#contexts,
      reads: this.#reads,
      users: Math.max(users ?? 0, timelines.length),
    };
    return { history, features, readLines: this.#readLines };
  }

  #userOf(user: string) {
    const known = this.#users.get(user) ?? { place: this.#users.size, steps: [] };
    this.#users.set(user, known);
    return known;
  }

  #read(user: number, at: number, outcome: unknown, no: number): number {
    if (at < this.#head.from) this.#fail('it is a read before the beginning of the history (from)');
    if (outcome === undefined) this.#fail('the key "outcome" is missing; write null if the outcome is unknown');
    if (outcome !== null && typeof outcome !== 'number' && typeof outcome !== 'string')
      this.#fail('its outcome is neither a number nor a string, nor null for an unknown outcome');
    this.#readLines.push(no);
    return this.#reads.push({ user, outcome: outcome as Outcome }) - 1;
  }

  #context(features: unknown): number | null {
    if (features === null) return null;
    const { length } = this.#head.features;
    if (!Array.isArray(features) || features.length !== length) this.#fail(`its features do not have ${length} values`);
    const row = (features as unknown[]).map((value, i) => this.#value(value, i));
    return this.#contexts.push(row) - 1;
  }

  #value(value: unknown, i: number): number | string | null {
    if (value === null) return null;
    const type = typeof value;
    const name = this.#head.features[i];
    if (type !== 'number' && type !== 'boolean' && type !== 'string') return this.#fail(`feature ${name} is a ${type}`);
    this.#types[i] ??= type;
    if (this.#types[i] !== type) this.#fail(`feature ${name} is a ${type}, but a ${this.#types[i]} in earlier lines`);
    return type === 'boolean' ? Number(value) : (value as number | string);
  }
}
