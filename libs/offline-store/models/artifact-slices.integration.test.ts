import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { createArtifactStore, hashInSlices, readSlices } from './artifacts.ts';

const MEGABYTE = 1 << 20;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(() => database?.drop());

/** Returns a file without repeated content. */
const fileOf = (size: number) =>
  Buffer.from(Uint32Array.from({ length: Math.ceil(size / 4) }, (_, i) => i).buffer, 0, size);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

it.each([0, 1, MEGABYTE - 1, MEGABYTE, MEGABYTE + 1, 8 * MEGABYTE, 17 * MEGABYTE + 5])(
  'a file of %i bytes is read unchanged',
  async (size) => {
    const file = fileOf(size);
    const hash = sha256(file);
    await createArtifactStore(database.pool).put(hash, file);
    expect((await readSlices(database.pool, hash, size)).equals(file)).toBe(true);
    expect(await hashInSlices(file)).toBe(hash);
    expect((await createArtifactStore(database.pool).get(hash)).equals(file)).toBe(true);
  },
);

it('a file that was truncated or changed in the middle is rejected', async () => {
  const file = fileOf(3 * MEGABYTE);
  const hash = sha256(file);
  const store = createArtifactStore(database.pool);
  await store.put(hash, file);
  for (const damaged of ['substring(bytes for 2000000)', 'set_byte(bytes, 2000000, 77)', "'\\x00' || bytes"]) {
    await database.pool.query(`update tandem.artifacts set bytes = ${damaged} where hash = $1`, [hash]);
    await expect(store.get(hash)).rejects.toMatchObject({
      code: 'model_refused',
      message: expect.stringContaining('damaged'),
    });
    await database.pool.query('update tandem.artifacts set bytes = $2 where hash = $1', [hash, file]);
  }
  expect((await store.get(hash)).equals(file)).toBe(true);
});
