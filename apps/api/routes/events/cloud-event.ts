/**
 * Parses CloudEvents 1.0. `subject` is the user, and `data` is an object of feature values or absent. Extension
 * attributes are allowed, as the specification requires, but not used.
 */

import { parseTime } from '@tandem/endpoints/json/read-json';
import { TandemError } from '@tandem/freshness/errors';
import type { ContextEvent } from '@tandem/prediction/events/events';
import { BATCHED } from '@tandem/wire/events';
import { SEND_OBJECT } from '@tandem/wire/problem';

/** Attributes by name, from any of the three content modes. */
type Attributes = Readonly<Record<string, unknown>>;

const NAMES = /^[a-z0-9]+$/;
/** Required attributes. Each is a non-empty string. */
const REQUIRED = ['specversion', 'id', 'source', 'type', 'subject'] as const;

/**
 * Parses an event. Throws a TandemError `invalid_input`.
 * @param prefix the prefix of fields in errors: `[3].` in a batch
 */
export function parseCloudEvent(attributes: unknown, prefix = ''): ContextEvent {
  const event = requireObject(attributes, prefix);
  checkNames(event, prefix);
  const text = Object.fromEntries(REQUIRED.map((name) => [name, requireText(event, name, prefix)]));
  if (text.specversion !== '1.0') {
    throw refuse(
      `${prefix}specversion`,
      'the version is not 1.0, the only supported version of CloudEvents',
      'send specversion "1.0"',
    );
  }
  return {
    source: text.source ?? '',
    id: text.id ?? '',
    type: text.type ?? '',
    userId: text.subject ?? '',
    time: parseTime(event.time, `${prefix}time`),
    data: parseData(event, prefix),
  };
}

function requireObject(value: unknown, prefix: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  const [field, what] = prefix === '' ? [undefined, 'The body'] : [prefix.slice(0, -1), 'the value'];
  const several = Array.isArray(value) && prefix === '' ? `, or several events as ${BATCHED}` : '';
  const remedy = `${SEND_OBJECT} with specversion, id, source, type and subject${several}`;
  throw refuse(field, `${what} is not a CloudEvent`, remedy);
}

function requireText(event: Attributes, name: string, prefix: string): string {
  const value = event[name];
  if (typeof value === 'string' && value !== '') return value;
  const problem = value === undefined || value === null ? 'is missing' : 'is not a string, or is empty';
  const remedy = name === 'subject' ? 'send the user id as a string in subject' : `send ${name} as a non-empty string`;
  throw refuse(`${prefix}${name}`, `the attribute ${name} ${problem}`, remedy);
}

/**
 * Checks extension attributes. They are scalars with lower-case names; anything else is a misspelled attribute or a
 * misplaced value.
 */
function checkNames(event: Attributes, prefix: string): void {
  for (const [name, value] of Object.entries(event)) {
    if (name === 'data_base64') {
      throw refuse(`${prefix}data_base64`, 'binary data is not supported', 'send data as a JSON object');
    }
    if (!NAMES.test(name)) {
      throw refuse(
        `${prefix}${name.slice(0, 80)}`,
        'the attribute name has characters other than lower-case letters and digits',
        'fix the name; put feature values into data',
      );
    }
    if (name !== 'data' && typeof value === 'object' && value !== null) {
      throw refuse(
        `${prefix}${name}`,
        'the attribute is not a string, a number or a boolean',
        'put feature values into data',
      );
    }
  }
}

function parseData(event: Attributes, prefix: string): Record<string, unknown> | null {
  const type = event.datacontenttype;
  if (
    type !== undefined &&
    type !== null &&
    !(typeof type === 'string' && /^application\/json[ \t]*(;|$)/i.test(type))
  ) {
    throw refuse(
      `${prefix}datacontenttype`,
      'the data is not declared as JSON',
      'send datacontenttype application/json, or leave it out',
    );
  }
  const { data } = event;
  if (data === undefined || data === null) return null;
  if (typeof data === 'object' && !Array.isArray(data)) return { ...data };
  throw refuse(
    `${prefix}data`,
    'the data of the event is not an object of feature values',
    'send an object, or leave out data',
  );
}

function refuse(field: string | undefined, problem: string, remedy: string): TandemError {
  const at = field === undefined ? '' : `${field}: `;
  return new TandemError('invalid_input', `${at}${problem}.`, { ...(field === undefined ? {} : { field }), remedy });
}

// The binary content mode of CloudEvents over HTTP: attributes in `ce-` headers, data as the body.

/** Returns the attributes in the headers. Throws a TandemError `malformed_request`. */
export function binaryAttributes(headers: Iterable<readonly [string, string]>): Attributes {
  const attributes: Record<string, string> = Object.create(null);
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower.startsWith('ce-')) attributes[lower.slice(3)] = decodeHeader(lower, value);
  }
  return attributes;
}

/** Decodes a header value: first the quotes, then the percent-encoding (CloudEvents HTTP binding, 3.1.3.2). */
function decodeHeader(name: string, raw: string): string {
  const value = raw.trim();
  const unquoted = /^"(?:[^"\\]|\\.)*"$/.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
  if (/[^\x20-\x7e\t]/.test(unquoted)) throw malformed(name, 'non-ASCII characters must be percent-encoded');
  try {
    return unquoted.includes('%') ? decodeURIComponent(unquoted) : unquoted;
  } catch (cause) {
    throw malformed(name, 'the percent-encoding is not UTF-8', cause);
  }
}

function malformed(name: string, problem: string, cause?: unknown): TandemError {
  return new TandemError('malformed_request', `The header ${name} cannot be read: ${problem}.`, {
    field: name,
    remedy: 'percent-encode the value according to the CloudEvents HTTP binding',
    ...(cause === undefined ? {} : { cause }),
  });
}
