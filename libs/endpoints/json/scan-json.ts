/**
 * Finds harmful parts of valid JSON text that JSON.parse accepts: duplicate and prototype keys, NUL characters and lone
 * surrogates (which jsonb rejects), numbers that JavaScript cannot represent. It makes one pass without recursion.
 * Strings are skipped by search, so the pass costs less than the parse.
 */

export interface JsonFault {
  /** The path to the value or key, for example `data.score` or `[3].subject`; empty for the whole text. */
  readonly path: string;
  readonly problem: string;
  readonly remedy: string;
}

type Fault = Omit<JsonFault, 'path'>;

export const MAX_DEPTH = 32;
const MAX_KEYS = 5_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/**
 * Matches an escape of a character. `text.includes` is not used, because V8's optimizer may move it into the loop that
 * uses the result and so repeat it. A large body would then cost time proportional to the square of its length.
 */
const ESCAPE = /\\u/;
const KEY_TWICE: Fault = { problem: 'the key occurs twice', remedy: 'send it once' };
const KEY_FORBIDDEN: Fault = { problem: 'this key is not allowed', remedy: 'give it another name' };
const KEYS_TOO_MANY: Fault = {
  problem: `the object has more than ${MAX_KEYS} keys`,
  remedy: 'leave out unneeded parts, or split it over several requests',
};
const NUL: Fault = { problem: 'the text has a NUL character', remedy: 'leave out \\u0000' };
const LONE_SURROGATE: Fault = {
  problem: 'the text has a lone surrogate',
  remedy:
    'send the whole character, in UTF-8 or as a pair of \\u escapes; a truncated text may end in half a character',
};
const TOO_LARGE: Fault = { problem: 'the number is too large', remedy: 'send one between -1.8e308 and 1.8e308' };
const LOSES_DIGITS: Fault = {
  problem: 'the whole number is beyond 2^53 and would lose digits',
  remedy: 'send an id as a string, or a value with at most 15 digits',
};
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** Returns the position of the bracket that opens level `MAX_DEPTH + 1`, or -1. Safe on any text, valid or not. */
export function findTooDeep(text: string): number {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === QUOTE) {
      i = endOfString(text, i);
      if (i < 0) return -1;
    } else if (unit === 0x7b || unit === 0x5b) {
      if (++depth > MAX_DEPTH) return i;
    } else if (unit === 0x7d || unit === 0x5d) depth--;
  }
  return -1;
}

interface Frame {
  /** The keys seen in an object; null for an array. */
  readonly keys: Set<string> | null;
  /** The key or index of the current value. */
  at: string | number;
}

/** The state of a pass. */
interface Position {
  readonly frames: Frame[];
  /** Whether the next string is a key. */
  expectKey: boolean;
}

/** Returns the first problem of a text that JSON.parse has accepted, or null. */
export function findFault(text: string): JsonFault | null {
  const position: Position = { frames: [], expectKey: false };
  const hasEscapes = ESCAPE.test(text);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    let fault: Fault | null = null;
    if (unit === QUOTE) {
      const end = endOfString(text, i);
      const keys = position.expectKey ? position.frames.at(-1)?.keys : null;
      if (keys) fault = enterKey(position, keys, text.slice(i, end + 1));
      else if (hasEscapes) fault = stringFault(text.slice(i, end + 1));
      position.expectKey = false;
      i = end;
    } else if (unit === 0x2d || (unit >= 0x30 && unit <= 0x39)) {
      const end = endOfNumber(text, i);
      fault = numberFault(text.slice(i, end));
      i = end - 1;
    } else follow(position, unit);
    if (fault) return { path: pathOf(position.frames), ...fault };
  }
  return null;
}

/** Updates the current place at a bracket or comma. */
function follow(position: Position, unit: number): void {
  switch (unit) {
    case 0x7b: // {
      position.frames.push({ keys: new Set(), at: '' });
      position.expectKey = true;
      return;
    case 0x5b: // [
      position.frames.push({ keys: null, at: 0 });
      return;
    case 0x7d: // }
    case 0x5d: // ]
      position.frames.pop();
      position.expectKey = false;
      return;
    case 0x2c: {
      // After a comma comes the next key or the next index.
      const frame = position.frames.at(-1);
      if (frame?.keys) position.expectKey = true;
      else if (frame) frame.at = Number(frame.at) + 1;
    }
  }
}

/** Returns the position of the closing quote, or -1. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return -1;
}

/**
 * Records the key and returns its problem.
 * @param quoted the key with its quotes
 */
function enterKey({ frames }: Position, keys: Set<string>, quoted: string): Fault | null {
  const key = quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1);
  const frame = frames.at(-1);
  if (frame) frame.at = key.slice(0, 80);
  if (keys.has(key)) return KEY_TWICE;
  if (FORBIDDEN_KEYS.has(key)) return KEY_FORBIDDEN;
  keys.add(key);
  if (keys.size > MAX_KEYS) return KEYS_TOO_MANY;
  return textFault(key);
}

/**
 * Returns the problem of a string; null if it has none.
 * @param quoted the string with its quotes
 */
function stringFault(quoted: string): Fault | null {
  // Only an escape can contain such a character: the parser rejects raw control characters and surrogates.
  return quoted.includes('\\u') ? textFault(String(JSON.parse(quoted))) : null;
}

function textFault(text: string): Fault | null {
  if (text.includes('\0')) return NUL;
  return text.isWellFormed() ? null : LONE_SURROGATE;
}

function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  for (; end < text.length; end++) {
    const unit = text.charCodeAt(end);
    const isPart =
      (unit >= 0x30 && unit <= 0x39) || unit === 0x2e || unit === 0x2b || unit === 0x2d || (unit | 0x20) === 0x65;
    if (!isPart) break;
  }
  return end;
}

function numberFault(token: string): Fault | null {
  // Shorter numbers without an exponent can neither overflow nor lose a digit.
  if (token.length < 16 && !/e/i.test(token)) return null;
  const value = Number(token);
  if (!Number.isFinite(value)) return TOO_LARGE;
  return /^-?[0-9]+$/.test(token) && !Number.isSafeInteger(value) ? LOSES_DIGITS : null;
}

function pathOf(frames: readonly Frame[]): string {
  let path = '';
  for (const { keys, at } of frames) path += keys === null ? `[${at}]` : path === '' ? at : `.${at}`;
  return path;
}
