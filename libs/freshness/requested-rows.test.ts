import { expect, test } from 'vitest';
import { type Assignments, everybodyIn } from './certificate.ts';
import { ASSIGNMENT, readOf } from './certified-read.fixture.ts';
import { TandemError } from './errors.ts';
import type { ModelVersion, RequestColumn } from './predictor.ts';
import type { RequestFeatures } from './read-options.ts';
import { type Results, requestedRows } from './requested-rows.ts';

const AMOUNT: RequestColumn = { name: 'amount', kind: 'number', max: 100, default: 40 };
const { default: _, ...REQUIRED } = { ...AMOUNT, max: 10 };
const CANDIDATE = { ...ASSIGNMENT, arm: 'candidate', modelVersionId: 'm3' };
const versionOf = (request: readonly RequestColumn[]): ModelVersion => ({ ...readOf().version, request });
const VERSIONS = new Map([
  ['m2', versionOf([AMOUNT])],
  ['m3', versionOf([REQUIRED])],
]);
/** User 2 is in the candidate's arm. The candidate's version accepts fewer values than the stable version. */
const ASSIGNMENTS: Assignments = {
  ...everybodyIn(ASSIGNMENT),
  rollout: {
    ...{ id: 'r', kind: 'canary', step: 0, arms: [CANDIDATE] },
    plan: { kind: 'shadow', version: 3, share: 0, maxPerSecond: 0 },
    bucketOf: () => 0,
    servedTo: () => ({ id: 'r', kind: 'canary', step: 0, overridden: false }),
  },
  of: (userId) => (userId === '2' ? CANDIDATE : ASSIGNMENT),
};

async function check(rows: readonly RequestFeatures[], checkVersion = (_version: ModelVersion) => {}) {
  const registry = { modelVersion: async (id: string) => VERSIONS.get(id) as ModelVersion };
  const refused: Results = new Map();
  const read = { rows, at: (row: number) => `users[${row}]`, checkVersion };
  const requested = await requestedRows(registry, ASSIGNMENTS, ['1', '2'], read, refused);
  return { requested: [...requested.keys()], refused };
}

test.each<[RequestFeatures]>([[{ amount: 50 }], [{}]])(
  'values that only a rollout’s version rejects, such as %j, are an error of that user alone',
  async (sent) => {
    const { requested, refused } = await check([sent, sent]);
    expect(requested).toEqual(['1']);
    expect([...refused]).toMatchObject([
      ['2', { code: 'features_unusable', message: expect.stringContaining('amount') }],
    ]);
  },
);

test('values that the stable version rejects fail the whole call', async () => {
  await expect(check([{ amount: 5 }, { amount: 101 }])).rejects.toMatchObject({
    ...{ code: 'invalid_input', field: 'users[1].features.amount' },
  });
  expect((await check([{ amount: 5 }, { amount: 6 }])).requested).toEqual(['1', '2']);
});

test('a version that cannot answer the call is handled like a rejected value', async () => {
  const refuse = (...ids: string[]) =>
    check([{}, { amount: 6 }], (version) => {
      if (ids.some((id) => VERSIONS.get(id) === version)) throw new TandemError('invalid_input', 'by is no output.');
    });
  await expect(refuse('m2', 'm3')).rejects.toMatchObject({ code: 'invalid_input' });
  const { requested, refused } = await refuse('m3');
  expect(requested).toEqual(['1']);
  expect([...refused]).toMatchObject([
    ['2', { code: 'features_unusable', message: expect.stringContaining('by is no output') }],
  ]);
});
