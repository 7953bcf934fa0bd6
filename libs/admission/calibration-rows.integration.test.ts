import type { ModelVersion } from '@tandem/freshness/predictor';
import { createPool } from '@tandem/offline-store/sql/database';
import { cloneDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { readCalibrationRows } from './calibration-rows.ts';
import { usersOfHalf } from './sample-users.ts';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
    templateDatabase: string;
  }
}

const USERS = 1_200;
const version: ModelVersion = {
  id: 'v',
  number: 1,
  predictor: 'churn',
  artifactHash: 'a'.repeat(64),
  keyType: 'int8',
  query: {
    sql: 'select user_id, a, b from people',
    columns: [
      { name: 'a', kind: 'number' },
      { name: 'b', kind: 'integer' },
    ],
    asOf: null,
    overlayForMs: null,
  },
  inputs: [
    { name: 'matrix', type: 'float32', columns: ['a', 'b'] },
    { name: 'whole', type: 'int64', columns: ['b'], rank: 1 },
  ],
  outputs: [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }],
};

let pool: ReturnType<typeof createPool>;
let close: () => Promise<void>;
beforeAll(async () => {
  const database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, max: 2, applicationName: 'calibration-test' });
  await pool.query('create table people (user_id bigint primary key, a float8, b int not null)');
  await pool.query('insert into people select n, n / 4.0, n from generate_series(1, $1::int) n', [USERS]);
  close = async () => {
    await pool.end();
    await database.drop();
  };
});
afterAll(() => close?.());

it('splits all users into two halves of about equal size, and repeats the same split', async () => {
  const [calibration, heldOut] = [
    await usersOfHalf(pool, version, 'calibration', USERS),
    await usersOfHalf(pool, version, 'held out', USERS),
  ];
  expect(new Set([...(calibration ?? []), ...(heldOut ?? [])]).size).toBe(USERS);
  expect((calibration?.length ?? 0) + (heldOut?.length ?? 0)).toBe(USERS);
  expect(Math.abs((heldOut?.length ?? 0) - USERS / 2)).toBeLessThan(100);
  expect(await usersOfHalf(pool, version, 'held out', USERS)).toEqual(heldOut);
  const some = await usersOfHalf(pool, version, 'held out', 50);
  expect(some).toHaveLength(50);
  expect(heldOut).toEqual(expect.arrayContaining([...(some ?? [])]));
});

it('calibration takes the inputs of its half, without erased users and users that the model cannot score', async () => {
  const half = (await usersOfHalf(pool, version, 'calibration', USERS)) ?? [];
  const [erased, incomplete] = [half[3] ?? '', half[520] ?? ''];
  await pool.query('insert into tandem.user_contexts (user_id, version, deleted_version) values ($1, 1, 1)', [erased]);
  await pool.query('update people set a = null where user_id = $1', [incomplete]);
  const { users, tensors } = await readCalibrationRows(pool, version, USERS);
  const kept = half.filter((userId) => userId !== erased && userId !== incomplete).map(Number);
  expect(users).toBe(half.length - 2);
  expect(tensors.map(({ name, type, dims }) => ({ name, type, dims }))).toEqual([
    { name: 'matrix', type: 'float32', dims: [users, 2] },
    { name: 'whole', type: 'int64', dims: [users] },
  ]);
  const [matrix, whole] = tensors.map(({ data }) => Array.from(data as ArrayLike<number | bigint>, Number));
  const numbers = whole ?? [];
  expect(numbers.toSorted((a, b) => a - b)).toEqual(kept.toSorted((a, b) => a - b));
  expect(matrix).toEqual(numbers.flatMap((n) => [n / 4, n]));
});

it('without users, the error says why there are none', async () => {
  const nobody = {
    ...version,
    id: 'nobody',
    query: { ...version.query, sql: 'select user_id, a, b from people where b < 0' },
  };
  await expect(readCalibrationRows(pool, nobody, 10)).rejects.toMatchObject({
    code: 'features_unusable',
    message: expect.stringContaining('the feature query returns none'),
  });
  const nulls = {
    ...version,
    id: 'nulls',
    query: { ...version.query, sql: 'select user_id, null::float8 as a, b from people' },
  };
  await expect(readCalibrationRows(pool, nulls, 10)).rejects.toMatchObject({ code: 'features_unusable' });
});
