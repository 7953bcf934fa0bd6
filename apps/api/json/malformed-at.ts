/**
 * Where a text stops being JSON. JSON.parse names the position of some faults only, so this looks for it after the
 * parser has refused. Recursion is bounded by the depth limit that was checked before.
 */

class Fault {
  readonly position: number;
  constructor(position: number) {
    this.position = position;
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const LITERALS = ['true', 'false', 'null'];

/** The position of the first character that cannot stand there; the text's length where it ends too early; or -1. */
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
