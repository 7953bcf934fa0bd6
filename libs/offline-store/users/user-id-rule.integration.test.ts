import { checkUserId, type KeyType } from '@tandem/freshness/user-id';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { query } from '../sql/database.ts';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(() => database.drop());

const odd = [
  '',
  '0',
  '-0',
  '042',
  '+1',
  '1e3',
  ' 42',
  '9223372036854775807',
  '9223372036854775808',
  '-9223372036854775808',
  '12345678901234567890',
  '-12345678901234567890',
  '00012345678901234567890',
  '1'.repeat(60),
];
const oddTexts = [
  'é',
  'e\u0301',
  'a\u007fb',
  'a\u0085b',
  'a\nb',
  '\u200b',
  '1'.repeat(128),
  '1'.repeat(129),
  'é'.repeat(65),
  '.',
  '..',
];
const uuids = ['6f9619ff-8b86-d011-b42d-00c04fc964ff', '6F9619FF-8B86-D011-B42D-00C04FC964FF', '{6f9619ff}'];

test('SQL and TypeScript accept the same user ids and reject the others for the same reasons, whatever the key type', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
    fc.uuid(),
    fc.constantFrom(...odd, ...oddTexts, ...uuids),
  );
  // Postgres' text has no NUL, and UTF-8 no lone surrogate: such ids are rejected before they reach Postgres.
  const sendable = text.filter((id) => id.isWellFormed() && !id.includes('\u0000'));
  const ids = [...new Set([...odd, ...oddTexts, ...uuids, ...fc.sample(sendable, 2_000)])];
  for (const keyType of ['int8', 'uuid', 'text'] satisfies KeyType[]) {
    const rows = await query<{ id: string; problem: string | null }>(database.pool, {
      text: 'select id, tandem.user_id_problem(id, $2) as problem from unnest($1::text[]) id',
      values: [ids, keyType],
    });
    const differing = rows.filter(({ id, problem }) => {
      const check = checkUserId(keyType, id);
      return problem !== (check.ok ? null : check.problem);
    });
    expect(differing, keyType).toEqual([]);
  }
});
