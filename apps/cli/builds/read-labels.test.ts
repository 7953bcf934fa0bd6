import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readLabels } from './compare.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-labels-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function read(text: string) {
  const file = join(folder, 'l.csv');
  await writeFile(file, text);
  return readLabels(file);
}

test('labels are read by the names in the head, in any order, beside other columns', async () => {
  const text = '\uFEFFlabel,when,user_id\r\n1,today,"a, ""b"""\r\n0.5,,42\r\n\r\n';
  expect(await read(text)).toEqual([
    { userId: 'a, "b"', label: 1 },
    { userId: '42', label: 0.5 },
  ]);
});

test.each<[string, RegExp]>([
  ['user,label\n1,1', /l\.csv, line 1: the header is "user,label"/],
  ['', /l\.csv is empty/],
  ['user_id,label\n1,1\n2', /line 3: 1 value, but the header has 2/],
  ['user_id,label\n1,yes', /line 2: its label is not a number/],
  ['user_id,label\n1,', /line 2: its label is not a number/],
  ['user_id,label\n1,Infinity', /line 2: its label is not a number/],
  ['user_id,label\n"1,1', /line 2: a quotation mark is not closed/],
  ['user_id,label\n', /line 2: the file has no user/],
  [`user_id,label\n${'1,1\n'.repeat(10_001)}`, /has 10001 labels/],
])('%j is rejected, and the error names the line', async (text, problem) => {
  await expect(read(text)).rejects.toThrow(problem);
});
