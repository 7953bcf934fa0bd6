import { expect, test } from 'vitest';
import { lexSql } from './sql-lexer.ts';

/** Returns the kind and text of each token. */
function tokensOf(sql: string): string[] {
  const { tokens, fault } = lexSql(sql);
  expect(fault).toBeNull();
  return tokens.map(({ kind, start, end }) => `${kind}: ${sql.slice(start, end)}`);
}

test.each([
  ['a$$ b$$', ['name: a$$', 'name: b$$']],
  ['1$$ b $$', ['number: 1', 'string: $$ b $$']],
  ['ä$x$ $ä$ $x$ $ä$', ['name: ä$x$', 'string: $ä$ $x$ $ä$']],
  ['$a$ $A$ $a$', ['string: $a$ $A$ $a$']],
  ['$1 $12', ['parameter: $1', 'parameter: $12']],
  ['/* a /* b */ ; */ c', ['block comment: /* a /* b */ ; */', 'name: c']],
  ['/*/ a /*/ b */ c */', ['block comment: /*/ a /*/ b */ c */']],
  ['+/* a */-1', ['symbol: +', 'block comment: /* a */', 'symbol: -', 'number: 1']],
  ['*--a\rb', ['symbol: *', 'line comment: --a', 'name: b']],
  ["e'a\\'' b", ["string: e'a\\''", 'name: b']],
  ["xe'a'", ['name: xe', "string: 'a'"]],
  ["E'a' -- it's\n '\\'b' c", ["string: E'a' -- it's\n '\\'b'", 'name: c']],
  ["E'a' '\\\\'", ["string: E'a'", "string: '\\\\'"]],
  [`U&"a""b" U&'c''d' uescape '!'`, ['quoted name: U&"a""b"', "string: U&'c''d'", 'name: uescape', "string: '!'"]],
  ["b'01' X'f' n'g'", ["string: b'01'", "string: X'f'", "string: n'g'"]],
  ["'\\d+\\\\'", ["string: '\\d+\\\\'"]],
  ['1..2 .5 1.e5 1e-5', ['number: 1', 'symbol: .', 'number: .2', 'number: .5', 'number: 1.e5', 'number: 1e-5']],
])('%j is split into tokens as in Postgres', (sql, expected) => {
  expect(tokensOf(sql)).toEqual(expected);
});

test.each([
  ["'a", "not closed: '"],
  ["select 1,\n'a''", "not closed: ' in line 2"],
  ["e'a\\'", "not closed: E'"],
  ['"a', 'not closed: "'],
  ['$a$ $b$', 'not closed: $a$'],
  ['/* /* */', 'not closed: a /* comment'],
  ["'a\\' ; --'", 'standard_conforming_strings'],
  ["'a\\'' ; --'", 'standard_conforming_strings'],
  ['$ a', 'begins neither'],
  ['$a b', 'begins neither'],
  ['1a', 'runs into a name'],
  ["1e'a'", 'runs into a name'],
  ['a \0', 'NUL'],
  ['$\ud800$ $\ud801$', 'surrogate'],
])('%j is refused', (sql, problem) => {
  const { fault } = lexSql(sql);
  expect(fault?.problem).toContain(problem);
  expect(fault?.remedy).not.toBe('');
});

test('half a megabyte of dashes is read in one pass', () => {
  expect(tokensOf(`E'a'${'-'.repeat(500_000)}`)).toHaveLength(2);
});
