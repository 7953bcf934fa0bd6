/**
 * Checks the text of a feature query. It is put into parentheses inside larger statements, so it must be one select
 * that ends where its text ends: a semicolon, a parameter, an open quote or a closing line comment would change those.
 */

export interface SqlFault {
  readonly problem: string;
  readonly remedy: string;
}

const OPAQUE = [
  /\b[eE]'(?:[^'\\]|\\[\s\S]|'')*'/,
  /'(?:[^']|'')*'/,
  /"(?:[^"]|"")*"/,
  /--[^\n]*(?:\n|$)/,
  /\/\*[\s\S]*?\*\//,
  /\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$/,
].map((pattern) => pattern.source);

/** Why a text cannot be a feature query, or null. Postgres judges the rest when the query is described. */
export function featureSqlFault(sql: string): SqlFault | null {
  if (sql.trim() === '') {
    return {
      problem: 'is empty',
      remedy: "write a select with a column user_id and the features in the model's order",
    };
  }
  if (sql.includes('\0')) return { problem: 'contains a NUL character', remedy: 'remove it' };
  const plain = withoutOpaqueParts(sql);
  if (/['"]|\/\*/.test(plain)) {
    return { problem: 'has a quote or comment that is not closed', remedy: 'close it' };
  }
  if (plain.includes(';')) {
    return { problem: 'contains a semicolon', remedy: 'leave it out: the query becomes part of larger statements' };
  }
  const parameter = /\$[0-9]+/.exec(plain)?.[0];
  if (parameter) {
    return {
      problem: `contains the parameter ${parameter}`,
      remedy: 'write the query for all users; which users are read is added around it',
    };
  }
  if (!/^\s*\(*\s*(select|with|table|values)\b/i.test(plain)) {
    return { problem: 'is not a select', remedy: 'start it with select, or with' };
  }
  if (endsInLineComment(sql.trimEnd())) {
    return { problem: 'ends in a -- comment', remedy: 'move the comment up, or write it as /* … */' };
  }
  return null;
}

/** Strings, quoted names and comments become spaces, so that what they contain is not taken for syntax. */
function withoutOpaqueParts(sql: string): string {
  return sql.replace(new RegExp(OPAQUE.join('|'), 'g'), ' ');
}

function endsInLineComment(sql: string): boolean {
  const parts = [...sql.matchAll(new RegExp(OPAQUE.join('|'), 'g'))];
  const last = parts.at(-1);
  return last !== undefined && /^--/.test(last[0]) && last.index + last[0].length === sql.length;
}
