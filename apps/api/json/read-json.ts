/**
 * Bytes to a JSON value, with everything refused that would do harm behind the edge. Malformed text is a 400 that names
 * the position; well-formed text that is refused is a 422 that names the path.
 *
 * Written here because the parsers at hand stop short: secure-json-parse knows prototype keys alone, and those that see
 * duplicate keys build a syntax tree of their own. JSON.parse does the parsing; scan-json.ts looks at what it accepts.
 */

import { TandemError } from '@tandem/freshness/errors';
import { RequestError } from '@tandem/http-server/request-error';
import { malformedAt } from './malformed-at.ts';
import { findFault, findTooDeep, type JsonFault, MAX_DEPTH } from './scan-json.ts';

/** Throws a RequestError `malformed_request` or a TandemError `invalid_input`. */
export function readJson(bytes: Uint8Array): unknown {
  const text = decode(bytes);
  if (/^[ \t\r\n]*$/.test(text.slice(0, 100)) && text.trim() === '') throw malformed('the body is empty');
  const tooDeep = findTooDeep(text);
  if (tooDeep >= 0) throw refused(tooNested(tooDeep));
  const value = parse(text);
  const fault = findFault(text);
  if (fault) throw refused(fault);
  return value;
}

function decode(bytes: Uint8Array): string {
  try {
    // ignoreBOM keeps a byte order mark in the text, where the parser refuses it as JSON does.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw malformed('the body is not UTF-8', cause);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const at = malformedAt(text);
    const how = at >= text.length ? 'ends too early, at position' : 'is malformed at position';
    const mark = text.startsWith('\uFEFF') ? ': it begins with a byte order mark' : '';
    throw malformed(`the JSON ${how} ${at}${mark}`, cause);
  }
}

function malformed(what: string, cause?: unknown): RequestError {
  return new RequestError('malformed_request', `Cannot read the body: ${what}.`, {
    remedy: 'send JSON (RFC 8259) in UTF-8',
    ...(cause === undefined ? {} : { cause }),
  });
}

function tooNested(position: number): JsonFault {
  return {
    path: '',
    problem: `JSON is nested at most ${MAX_DEPTH} levels deep (position ${position})`,
    remedy: 'send it flatter: values are texts, numbers, booleans or null',
  };
}

function refused({ path, problem, remedy }: JsonFault): TandemError {
  return new TandemError('invalid_input', `${path === '' ? 'The body' : path}: ${problem}.`, {
    ...(path === '' ? {} : { field: path }),
    remedy,
  });
}
