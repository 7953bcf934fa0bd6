import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OutputField } from '@tandem/freshness/predictor';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readGolden } from './read-golden.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-golden-'));
});
afterEach(() => rm(folder, { recursive: true }));

const output = (name: string, more: Partial<OutputField> = {}): OutputField => ({
  ...{ name, output: name, type: 'float32', width: null, index: 0 },
  ...more,
});

async function read(content: string, outputs = [output('score')], key: string | null = null) {
  const file = join(folder, 'golden.csv');
  await writeFile(file, content);
  return readGolden(file, { keyType: 'int8', outputs, key });
}

const rows = (cells: readonly (readonly (string | number)[])[], head = 'customer_id,score') =>
  `${[head, ...cells.map((row) => row.join(','))].join('\n')}\n`;

test('reads texts, booleans, fields with several values, and the only output under the name score', async () => {
  const outputs = [
    output('label', { type: 'string' }),
    output('perClass', { width: 2 }),
    output('churns', { type: 'bool' }),
  ];
  expect(await read('when,label,churns,perClass_1,id\nnow,yes,True,0.25,7\n', outputs, 'id')).toEqual({
    outputs: [
      { column: 'label', field: 'label', index: null },
      { column: 'churns', field: 'churns', index: null },
      { column: 'perClass_1', field: 'perClass', index: 1 },
    ],
    users: [{ userId: '7', expected: ['yes', 1, 0.25] }],
  });
  expect((await read('user_id,when,score\n7,now,0.5\n', [output('p')])).outputs).toEqual([
    { column: 'score', field: 'p', index: null },
  ]);
});

test.each([
  [
    'no column of an output',
    rows([[1, 0.5]], 'customer_id,probability'),
    /line 1: no column is an output: customer_id, probability/,
  ],
  ['no column of ids', rows([[1, 2, 0.5]], 'a,b,score'), /line 1: no column is named user_id/],
  ['a text in place of a number', rows([[1, 'high']]), /line 2: score is "high", not a number/],
  ['an empty score', rows([[1, '']]), /line 2: score is empty/],
  ['an invalid user id', rows([['1.0', 0.5]]), /line 2: "1\.0" is not a user id/],
  [
    'a user twice',
    rows([
      [1, 0.5],
      [1, 0.5],
    ]),
    /line 3: user 1 occurs twice/,
  ],
  ['no user', rows([]), /the file has no user/],
  ['too many users', rows(Array.from({ length: 10_001 }, (_, i) => [i, 0.5])), /more than 10,000 users/],
])('a file with %s is rejected, and the error names the line', async (_, content, problem) => {
  await expect(read(content)).rejects.toThrow(problem);
});
