import { expect, test } from 'vitest';
import { featureSqlFault } from './feature-sql.ts';

test.each([
  ['  ', 'is empty'],
  ['select 1;', 'contains a semicolon'],
  ['select $1', 'contains the parameter $1'],
  ["select 'a", 'not closed'],
  ['select /* a', 'not closed'],
  ['delete from t', 'is not a select'],
  ['select a from t -- all', 'ends in a -- comment'],
  ['select \0', 'NUL'],
])('%j is refused', (sql, problem) => {
  const fault = featureSqlFault(sql);
  expect(fault?.problem).toContain(problem);
  expect(fault?.remedy).not.toBe('');
});

test.each([
  'select user_id from t',
  '\n with a as (select 1) select * from a',
  '(select 1)',
  '-- the customers\nselect 1',
  "select ';', '$1', 'it''s', \"a;b\", $$ ; $1 $$, $x$ ; $x$ -- ; $1\n from t /* ; */",
  "select e'it\\'s;' from t",
  "select '-- no comment'",
])('%j is accepted: what stands in quotes and comments is no syntax', (sql) => {
  expect(featureSqlFault(sql)).toBeNull();
});
