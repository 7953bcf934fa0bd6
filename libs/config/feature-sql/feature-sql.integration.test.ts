/**
 * Compares the lexer with the parser of Postgres: an accepted text is one statement that ends at the end of the text.
 */
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { featureSqlFault } from './feature-sql.ts';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
  }
}

const RUNS = 4_000;
const client = new pg.Client({ connectionString: inject('databaseUrl') });
beforeAll(() => client.connect());
afterAll(() => client.end());

/** Returns the error of Postgres for a text that is parsed but not run; null if the text is one statement. */
function parsed(text: string): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const statement = {
    submit(connection: { parse(query: { text: string; name: string }): void; sync(): void }) {
      connection.parse({ text, name: '' });
      connection.sync();
    },
    handleReadyForQuery: () => resolve(null),
    handleError: (error: Error) => resolve(error.message),
  };
  // The driver's internal interface for statements, which its types declare only in part.
  client.query(statement as pg.Submittable & typeof statement);
  return promise;
}

const SEVERAL = 'cannot insert multiple commands into a prepared statement';
const wrapped = (sql: string) => `select * from (\n${sql}\n) f`;

/** Complete tokens, and halves of tokens. */
const VALUE = fc.constantFrom(
  ...[
    "'a'",
    "''''",
    "E'\\''",
    "e'\\\\'",
    "'\\'",
    "'\\\\'",
    "B'01'",
    "x'1f'",
    "N'a'",
    "U&'\\0061'",
    "U&'!' uescape '?'",
  ],
  ...[
    '$$;$$',
    '$a$ $$ ; $a$',
    '$ä$)$ä$',
    'a$$',
    'b$$',
    'a$x$',
    '$x$',
    '$1',
    '1',
    '1.',
    '.5',
    '1e5',
    '0x1f',
    '1_0',
    '1a',
  ],
  ...[
    '"a"',
    '"a""b"',
    'U&"a"',
    '(1)',
    '(select 2)',
    'null',
    '1 +',
    '-',
    "'",
    '"',
    '$$',
    '$',
    '\\',
    'ä',
    '\u00a0',
    '::text',
  ],
);
const GAP = fc.constantFrom(
  ...[
    ' ',
    ' ',
    ' ',
    '',
    '\n',
    '\r',
    '\t',
    '\f',
    '\v',
    '/**/',
    '/* ; */',
    '/* /* */ ; */',
    '/*/',
    '*/',
    '/*',
    '-- ;\n',
    '--\r',
    '--',
  ],
);
const TURN = fc.constantFrom(
  ', ',
  ', ',
  ' as a',
  ' as "b"',
  ';',
  ' ; select ',
  ')',
  '(',
  ') f, (select ',
  ' union select ',
  ' from ',
  '|| ',
);
const QUERY = fc
  .array(fc.tuple(VALUE, GAP, TURN, GAP), { minLength: 1, maxLength: 6 })
  .map((parts) => `select 1, ${parts.flat().join('')}1`);

test('an accepted query is one statement, and ends inside the parentheses around it', async () => {
  let valid = 0;
  await fc.assert(
    fc.asyncProperty(QUERY, async (sql) => {
      if (featureSqlFault(sql) !== null) return;
      const [around, bare] = [await parsed(wrapped(sql)), await parsed(sql)];
      expect(around).not.toBe(SEVERAL);
      expect(bare).not.toBe(SEVERAL);
      // A text that closes the surrounding parentheses would be one statement only inside of them.
      if (around === null) expect(bare).toBeNull();
      if (bare === null) valid++;
    }),
    { numRuns: RUNS },
  );
  expect(valid).toBeGreaterThan(RUNS / 100);
});

test('a text that Postgres parses as one select is accepted, unless other settings or releases would parse it differently', async () => {
  const stricter = /standard_conforming_strings|runs into a name|ends in a -- comment|the parameter/;
  let valid = 0;
  await fc.assert(
    fc.asyncProperty(QUERY, async (sql) => {
      if ((await parsed(sql)) !== null || (await parsed(wrapped(sql))) !== null) return;
      valid++;
      const fault = featureSqlFault(sql);
      if (fault) expect(fault.problem).toMatch(stricter);
    }),
    { numRuns: RUNS },
  );
  expect(valid).toBeGreaterThan(RUNS / 100);
});

test.each([
  'select a$$ from t; drop table t; select b$$',
  "select 1 /* /* */ ' */ ; drop table t; --'",
  "select E'a'\n'\\''; drop table t; --'",
])('Postgres parses two statements in %j, and the text is refused', async (sql) => {
  expect(await parsed(sql)).toBe(SEVERAL);
  expect(featureSqlFault(sql)).not.toBeNull();
});
