/**
 * Splits SQL into tokens by the rules of Postgres, so that strings, names and comments end at the same places. A text
 * is a fault if Postgres reads it differently depending on a setting or a release. Source: src/backend/parser/scan.l of
 * Postgres 15 to 18.
 */

export interface SqlToken {
  readonly kind:
    | 'name'
    | 'quoted name'
    | 'string'
    | 'number'
    | 'parameter'
    | 'symbol'
    | 'line comment'
    | 'block comment';
  /** Offsets into the text; the end is exclusive. */
  readonly start: number;
  readonly end: number;
}

export interface SqlFault {
  readonly problem: string;
  readonly remedy: string;
}

export function lexSql(sql: string): { readonly tokens: readonly SqlToken[]; readonly fault: SqlFault | null } {
  const tokens: SqlToken[] = [];
  const unreadable = unreadableText(sql);
  if (unreadable) return { tokens, fault: unreadable };
  for (let at = 0; at < sql.length; ) {
    if (isSpace(sql[at])) {
      at++;
      continue;
    }
    const read = readToken(sql, at);
    if ('problem' in read) return { tokens, fault: { ...read, problem: `${read.problem} in line ${lineAt(sql, at)}` } };
    tokens.push({ kind: read.kind, start: at, end: read.end });
    at = read.end;
  }
  return { tokens, fault: null };
}

type Read = Pick<SqlToken, 'kind' | 'end'> | SqlFault;

/**
 * Returns the fault of a text with a lone surrogate. The driver sends each as U+FFFD, so two different tags of a dollar
 * quote may become equal in Postgres.
 */
function unreadableText(sql: string): SqlFault | null {
  if (sql.includes('\0')) return { problem: 'contains a NUL character', remedy: 'remove it' };
  if (!/\p{Surrogate}/u.test(sql)) return null;
  return { problem: 'contains half a surrogate pair, which is not Unicode text', remedy: 'remove it' };
}

function lineAt(sql: string, at: number): number {
  return sql.slice(0, at).split('\n').length;
}

function readToken(sql: string, at: number): Read {
  const first = sql[at] ?? '';
  if (first === '-' && sql[at + 1] === '-') return { kind: 'line comment', end: endOfLine(sql, at) };
  if (first === '/' && sql[at + 1] === '*') return readBlockComment(sql, at);
  const prefixed = readPrefixed(sql, at);
  if (prefixed) return prefixed;
  if (isNameStart(first)) return { kind: 'name', end: endOfName(sql, at) };
  if (first === "'") return readPlainString(sql, at);
  if (first === '"') return readQuotedName(sql, at);
  if (first === '$') return readDollar(sql, at);
  if (isDigit(first) || (first === '.' && isDigit(sql[at + 1]))) return readNumber(sql, at);
  // Operators are read as single characters. An operator of several characters ends where a comment begins, so the
  // boundaries are the same.
  return { kind: 'symbol', end: at + 1 };
}

/** Matches E'…', B'…', X'…', N'…', U&'…' and U&"…". The prefix counts only at the start of a token. */
function readPrefixed(sql: string, at: number): Read | null {
  const prefix = (sql[at] ?? '').toLowerCase();
  if (sql[at + 1] === "'") {
    if (prefix === 'e') return readEscapeString(sql, at + 1);
    if (prefix === 'b' || prefix === 'x' || prefix === 'n') return readPlainString(sql, at + 1);
  }
  if (prefix !== 'u' || sql[at + 1] !== '&') return null;
  if (sql[at + 2] === "'") return readPlainString(sql, at + 2);
  return sql[at + 2] === '"' ? readQuotedName(sql, at + 2) : null;
}

/** Reads a block comment. Comments nest. */
function readBlockComment(sql: string, start: number): Read {
  let depth = 0;
  for (let at = start; at < sql.length; ) {
    const pair = sql.slice(at, at + 2);
    if (pair === '/*') depth++;
    if (pair === '*/') depth--;
    at += pair === '/*' || pair === '*/' ? 2 : 1;
    if (depth === 0) return { kind: 'block comment', end: at };
  }
  return {
    problem: 'has a quote or comment that is not closed: a /* comment',
    remedy: 'close it with */; comments nest, and each needs an end',
  };
}

/**
 * Reads a string in which a backslash escapes nothing.
 * @param quote offset of the opening quote
 */
function readPlainString(sql: string, quote: number): Read {
  for (let at = quote + 1; at < sql.length; at++) {
    if (sql[at] !== "'") continue;
    if (isEscapedByBackslash(sql, at, quote)) {
      return {
        problem: 'has a backslash before a quote, which ends the string only with standard_conforming_strings,',
        remedy: "write the string as E'…', with \\\\ for a backslash and '' for a quote",
      };
    }
    if (sql[at + 1] !== "'") return { kind: 'string', end: at + 1 };
    at++;
  }
  return unclosed("'");
}

/** Returns whether there is an odd number of backslashes before the offset. */
function isEscapedByBackslash(sql: string, at: number, quote: number): boolean {
  let first = at;
  while (first - 1 > quote && sql[first - 1] === '\\') first--;
  return (at - first) % 2 === 1;
}

/**
 * Reads a string in which a backslash escapes the next character.
 * @param quote offset of the opening quote
 */
function readEscapeString(sql: string, quote: number): Read {
  for (let at = quote + 1; at < sql.length; at++) {
    if (sql[at] === '\\') at++;
    else if (sql[at] === "'" && sql[at + 1] === "'") at++;
    else if (sql[at] === "'") {
      const next = continuation(sql, at + 1);
      if (next === null) return { kind: 'string', end: at + 1 };
      at = next;
    }
  }
  return unclosed("E'");
}

/**
 * Returns the offset of the quote that continues an escape string, after white space and line comments with at least
 * one line break; null if there is none. Other strings need no such check: their continuation is a string by the same
 * rule.
 */
function continuation(sql: string, end: number): number | null {
  let brokeLine = false;
  for (let at = end; at < sql.length; ) {
    const next = sql[at];
    if (next === "'") return brokeLine ? at : null;
    if (next === '-' && sql[at + 1] === '-') at = endOfLine(sql, at);
    else if (isSpace(next)) {
      brokeLine ||= isLineBreak(next);
      at++;
    } else return null;
  }
  return null;
}

function readQuotedName(sql: string, quote: number): Read {
  for (let at = quote + 1; at < sql.length; at++) {
    if (sql[at] !== '"') continue;
    if (sql[at + 1] !== '"') return { kind: 'quoted name', end: at + 1 };
    at++;
  }
  return unclosed('"');
}

/** Reads a parameter or a dollar quote. A dollar inside a name is read as part of the name. */
function readDollar(sql: string, at: number): Read {
  let end = at + 1;
  if (isDigit(sql[end])) {
    while (isDigit(sql[end])) end++;
    return { kind: 'parameter', end };
  }
  if (isNameStart(sql[end])) while (isNamePart(sql[end]) && sql[end] !== '$') end++;
  if (sql[end] !== '$') return { problem: 'has a $ that begins neither a parameter nor a quote', remedy: 'remove it' };
  const tag = sql.slice(at, end + 1);
  const close = sql.indexOf(tag, end + 1);
  return close < 0 ? unclosed(tag) : { kind: 'string', end: close + tag.length };
}

const NUMBER =
  /0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9][0-9_]*)?/y;

/** Reads a number. Letters that follow it at once are a fault, because releases of Postgres read them differently. */
function readNumber(sql: string, at: number): Read {
  NUMBER.lastIndex = at;
  const end = at + (NUMBER.exec(sql)?.[0].length ?? 1);
  if (!isNameStart(sql[end])) return { kind: 'number', end };
  return { problem: 'has a number that runs into a name', remedy: 'put a space between them' };
}

function unclosed(opening: string): SqlFault {
  return { problem: `has a quote or comment that is not closed: ${opening}`, remedy: 'close it' };
}

function endOfLine(sql: string, from: number): number {
  let at = from;
  while (at < sql.length && !isLineBreak(sql[at])) at++;
  return at;
}

function endOfName(sql: string, from: number): number {
  let at = from;
  while (isNamePart(sql[at])) at++;
  return at;
}

function isLineBreak(character: string | undefined): boolean {
  return character === '\n' || character === '\r';
}

/**
 * Returns whether a character is white space. A vertical tab is a syntax error in Postgres 15, and white space in later
 * releases.
 */
function isSpace(character: string | undefined): boolean {
  return character !== undefined && ' \t\n\r\f\v'.includes(character);
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= '0' && character <= '9';
}

/** Returns whether a character starts a name. Every character beyond ASCII is a letter. */
function isNameStart(character: string | undefined): boolean {
  return character !== undefined && (/[A-Za-z_]/.test(character) || character > '\x7f');
}

function isNamePart(character: string | undefined): boolean {
  return isNameStart(character) || isDigit(character) || character === '$';
}
