/** Checks a sent outcome before anything is stored. Errors name the field. */

import { parseTime } from '@tandem/endpoints/json/read-json';
import { TandemError } from '@tandem/freshness/errors';
import { type KeyType, userIdProblem } from '@tandem/freshness/user-id';
import { OUTCOME_NAME } from '@tandem/wire/parameters';
import { SEND_OBJECT } from '@tandem/wire/problem';
import { MAX_OUTCOME_VALUE, type Outcome } from '../outcome.ts';

const FIELDS = ['id', 'source', 'userId', 'name', 'value', 'time'] as const;
const MAX_ID_BYTES = 256;
/** The source of outcomes that have none. */
const SOURCE = 'api';

/**
 * Parses an outcome. Throws a TandemError `invalid_input`.
 * @param prefix the prefix of fields in errors: `outcomes[3].` or nothing
 */
export function parseOutcome(value: unknown, prefix: string, keyType: KeyType): Outcome {
  const sent = requireObject(value, prefix);
  const unknown = Object.keys(sent).find((name) => !(FIELDS as readonly string[]).includes(name));
  if (unknown !== undefined) {
    const remedy = `leave it out; known fields are ${FIELDS.join(', ')}`;
    throw refuse(`${prefix}${unknown.slice(0, 80)}`, 'the field is not known', remedy);
  }
  const userId = requireText(sent, 'userId', prefix);
  const problem = userIdProblem(keyType, userId, `${prefix}userId`);
  if (problem) throw problem;
  return {
    source: sent.source === undefined || sent.source === null ? SOURCE : nameOf(sent, 'source', prefix),
    id: nameOf(sent, 'id', prefix),
    userId,
    name: parseName(requireText(sent, 'name', prefix), prefix),
    value: parseValue(sent.value, prefix),
    time: parseTime(sent.time, `${prefix}time`),
  };
}

function requireObject(value: unknown, prefix: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw refuse(
    prefix.slice(0, -1),
    'it is not an object',
    `${SEND_OBJECT} with id, userId and name, and optionally source, value and time`,
  );
}

function requireText(sent: Readonly<Record<string, unknown>>, name: string, prefix: string): string {
  const value = sent[name];
  if (typeof value === 'string' && value !== '') return value;
  const problem = value === undefined || value === null ? 'it is missing' : 'it is not a string, or is empty';
  throw refuse(`${prefix}${name}`, problem, `send ${name} as a non-empty string`);
}

/** Returns the problem of an id or a source. Any text within the limits is allowed. */
function nameOf(sent: Readonly<Record<string, unknown>>, name: string, prefix: string): string {
  const value = requireText(sent, name, prefix);
  if (value.trim() === '')
    throw refuse(`${prefix}${name}`, 'it is only white space', `send a ${name} with other characters`);
  if (Buffer.byteLength(value) <= MAX_ID_BYTES) return value;
  throw refuse(`${prefix}${name}`, `it has more than ${MAX_ID_BYTES} bytes`, `send a shorter ${name}`);
}

function parseName(name: string, prefix: string): string {
  if (OUTCOME_NAME.test(name)) return name;
  throw refuse(
    `${prefix}name`,
    'the name of the outcome is not a letter followed by at most 99 letters, digits, dots, colons, hyphens and underscores',
    'send the name that the plan of the rollout gives the outcome, for example "order"',
  );
}

function parseValue(value: unknown, prefix: string): number {
  if (value === undefined) return 1;
  if (typeof value === 'number' && Math.abs(value) <= MAX_OUTCOME_VALUE) return value;
  const problem =
    value === null
      ? 'the value is null; JSON.stringify writes null for NaN and Infinity'
      : 'the value is not a number from -1e15 to 1e15';
  throw refuse(`${prefix}value`, problem, 'send a number, or leave out value for an outcome that counts as 1');
}

function refuse(field: string, problem: string, remedy: string): TandemError {
  return new TandemError('invalid_input', `${field === '' ? 'The body' : field}: ${problem}.`, {
    ...(field === '' ? {} : { field }),
    remedy,
  });
}
