/**
 * Parses bytes as a JSON value, and rejects content that would do harm later. Malformed text is a 400 that names the
 * position; well-formed text that is rejected is a 422 that names the path.
 *
 * Existing parsers do not suffice: secure-json-parse checks prototype keys only, and parsers that detect duplicate keys
 * build a syntax tree. Here JSON.parse parses the text, and scan-json.ts checks the texts that JSON.parse accepts.
 */
import { TandemError } from '@tandem/freshness/errors';
import { findFault, findTooDeep, type JsonFault, MAX_DEPTH } from './scan-json.ts';

/** Parses the bytes. Throws `malformed_request` or `invalid_input`. */
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
    // `ignoreBOM` keeps a byte order mark in the text, so that the parser rejects it.
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

function malformed(what: string, cause?: unknown): TandemError {
  return new TandemError('malformed_request', `Cannot read the body: ${what}.`, {
    remedy: 'send JSON (RFC 8259) in UTF-8',
    ...(cause === undefined ? {} : { cause }),
  });
}

function tooNested(position: number): JsonFault {
  return {
    path: '',
    problem: `the JSON is nested deeper than ${MAX_DEPTH} levels (position ${position})`,
    remedy: 'nest objects and arrays less deeply',
  };
}

function refused({ path, problem, remedy }: JsonFault): TandemError {
  return new TandemError('invalid_input', `${path === '' ? 'The body' : path}: ${problem}.`, {
    ...(path === '' ? {} : { field: path }),
    remedy,
  });
}

// Finds the position at which a text stops being JSON, because JSON.parse names it for some errors only. This runs
// after the parser has rejected the text. The depth limit, which is checked before, bounds the recursion.

class Fault {
  readonly position: number;
  constructor(position: number) {
    this.position = position;
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const LITERALS = ['true', 'false', 'null'];

/** Returns the position of the first invalid character; the text's length if it ends too early; or -1. */
export function malformedAt(text: string): number {
  try {
    const end = space(text, value(text, space(text, 0)));
    return end === text.length ? -1 : end;
  } catch (fault) {
    if (fault instanceof Fault) return fault.position;
    throw fault;
  }
}

function value(text: string, at: number): number {
  const first = text[at];
  if (first === '"') return string(text, at);
  if (first === '{') return list(text, at, '}', member);
  if (first === '[') return list(text, at, ']', value);
  const literal = LITERALS.find((word) => word[0] === first);
  if (literal !== undefined) return word(text, at, literal);
  NUMBER.lastIndex = at;
  if (!NUMBER.test(text)) throw new Fault(at);
  return NUMBER.lastIndex;
}

function list(text: string, start: number, close: string, item: (text: string, at: number) => number): number {
  let at = space(text, start + 1);
  if (text[at] === close) return at + 1;
  for (;;) {
    at = space(text, item(text, at));
    if (text[at] === close) return at + 1;
    if (text[at] !== ',') throw new Fault(at);
    at = space(text, at + 1);
  }
}

function member(text: string, start: number): number {
  if (text[start] !== '"') throw new Fault(start);
  const colon = space(text, string(text, start));
  if (text[colon] !== ':') throw new Fault(colon);
  return value(text, space(text, colon + 1));
}

function string(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) return at + 1;
    if (unit < 0x20) throw new Fault(at);
    if (unit !== 0x5c) continue;
    ESCAPE.lastIndex = at;
    if (!ESCAPE.test(text)) throw new Fault(at);
    at = ESCAPE.lastIndex - 1;
  }
  throw new Fault(text.length);
}

function word(text: string, start: number, literal: string): number {
  for (let i = 0; i < literal.length; i++) if (text[start + i] !== literal[i]) throw new Fault(start + i);
  return start + literal.length;
}

function space(text: string, start: number): number {
  let at = start;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++;
  return at;
}

// Times in JSON: RFC 3339, as in CloudEvents.

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** Parses a time; returns null without a value. Throws a TandemError `invalid_input` for that field. */
export function parseTime(value: unknown, field: string): Date | null {
  if (value === undefined || value === null) return null;
  const parts = typeof value === 'string' ? RFC3339.exec(value) : null;
  const time = new Date(parts ? String(value).toUpperCase() : Number.NaN);
  // Date turns 30 February into a day of March, so the day of the result is compared.
  const day = Number(parts?.[3]);
  const month = Number(parts?.[2]);
  const exists = day >= 1 && day <= new Date(Date.UTC(2000 + (Number(parts?.[1]) % 400), month, 0)).getUTCDate();
  if (!Number.isNaN(time.getTime()) && exists) return time;
  throw new TandemError('invalid_input', `${field}: the time is not an RFC 3339 timestamp.`, {
    field,
    remedy: 'send a time such as 2026-11-24T02:00:11Z, or leave it out',
  });
}
