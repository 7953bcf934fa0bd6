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
  ['-- nothing', 'is empty'],
  ['select a$$ from t; drop table t; select b$$', 'contains a semicolon'],
  ["select 1 /* /* */ ' */ ; drop table t; --' */", 'contains a semicolon'],
  ['select 1 /* /* */ ; drop table t', 'not closed'],
  ["select 'a\\'; drop table t; --'", 'standard_conforming_strings'],
  ['select 1) f; drop table t; select (1', 'contains a semicolon'],
  ['select 1) f, (select 2', 'has a ) without its ('],
  ['select 1 as user_id) f, secrets --', 'has a ) without its ('],
  ['select (1', 'has a ( without its )'],
  ['select 1 as "user_id', 'not closed'],
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
  "select a$$, ')' as \"(\" /* ( /* ; */ ) */ from t where b ~ '\\d+$'",
])('%j is accepted: the contents of quotes and comments are not syntax', (sql) => {
  expect(featureSqlFault(sql)).toBeNull();
});
