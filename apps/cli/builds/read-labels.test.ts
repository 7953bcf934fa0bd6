import { expect, test } from 'vitest';
import { readLabels } from './compare.ts';

test('labels are read by the names in the head, in any order, beside other columns', () => {
  const text = '\uFEFFlabel,when,user_id\r\n1,today,"a, ""b"""\r\n0.5,,42\r\n\r\n';
  expect(readLabels(text, 'l.csv')).toEqual([
    { userId: 'a, "b"', label: 1 },
    { userId: '42', label: 0.5 },
  ]);
});

test.each<[string, RegExp]>([
  ['user,label\n1,1', /l\.csv, line 1: the header is "user,label"/],
  ['', /line 1: the header is ""/],
  ['user_id,label\n1,1\n2', /line 3: it does not have 2 values/],
  ['user_id,label\n1,yes', /line 2: its label is not a number/],
  ['user_id,label\n1,', /line 2: its label is not a number/],
  ['user_id,label\n1,Infinity', /line 2: its label is not a number/],
  ['user_id,label\n"1,1', /line 2: it does not have 2 values/],
  ['user_id,label\n', /line 2: the file has no user/],
  [`user_id,label\n${'1,1\n'.repeat(10_001)}`, /has 10001 labels/],
])('%j is rejected, and the error names the line', (text, problem) => {
  expect(() => readLabels(text, 'l.csv')).toThrow(problem);
});
