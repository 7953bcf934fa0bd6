/** A user with megabytes of text fails alone, whatever the form of the read. */
import type { FeatureBatch } from '@tandem/freshness/features';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { oddVersion } from '../odd-version.fixture.ts';
import { createTestDatabase, patientFeatures, type TestDatabase } from '../store.fixture.ts';

const users = ['1', '2', '3', '4', '5'];
const version = oddVersion([
  { name: 'note', kind: 'string', nullAs: 'none' },
  { name: 'more', kind: 'string', nullAs: 'none' },
  { name: 'age', kind: 'number' },
]);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  // The texts of user 2 are compressed. The texts of user 4 are too long only in total.
  await database.pool.query(`create table odd (user_id bigint primary key, note text, more varchar, age float8);
    insert into odd values (1, 'short', 'x', 1), (2, repeat('a', 10000000), 'x', 2), (3, repeat('é', 400000), 'x', 3),
      (4, repeat('b', 600000), repeat('c', 600000), 4), (5, null, 'x', 5)`);
});
afterAll(() => database.drop());

function expectTwoFaults(batch: FeatureBatch): void {
  const rowOf = (userId: string) => batch.userIds.indexOf(userId);
  const byUser = [...batch.faults].map(([row, why]): [string | undefined, string] => [batch.userIds[row], why]);
  expect(new Map(byUser)).toEqual(
    new Map([
      [
        '2',
        expect.stringMatching(/^feature note has 9\.54 MiB, the row 9\.54 MiB, and a user's row has at most 1 MiB/),
      ],
      ['4', expect.stringMatching(/^feature (note|more) has 0\.572 MiB, the row 1\.14 MiB/)],
    ]),
  );
  expect(batch.unusable.get(rowOf('2'))).toEqual(['note']);
  const [note, more, age] = batch.values;
  expect(['1', '2', '3', '4', '5'].map((userId) => note?.[rowOf(userId)]?.toString().length ?? null)).toEqual([
    ...[5, null, 400_000, null, null],
  ]);
  expect(['1', '3', '5'].map((userId) => [more?.[rowOf(userId)], age?.[rowOf(userId)]])).toEqual([
    ...[
      ['x', 1],
      ['x', 3],
      ['x', 5],
    ],
  ]);
}

test('a user with too much text fails alone in a chunk, by range and by name', async () => {
  const source = patientFeatures(database.pool);
  expectTwoFaults(await source.readRange(version, { from: null, to: null }));
  expectTwoFaults((await source.readNamed(version, users)).batch);
});

test('a user with too much text fails alone in a live read, as texts and packed', async () => {
  const source = patientFeatures(database.pool);
  expectTwoFaults((await source.readUsers(version, users)).batch);
  for (let read = 1; read <= 2; read++) expectTwoFaults((await source.readUsers(version, users, 'with rows')).batch);
});
