import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { type S3Server, startS3Server } from '../s3-server.fixture.ts';
import { transaction } from '../sql/database.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createBucket } from './artifact-bucket.ts';
import { type ArtifactStore, createArtifactStore, insertArtifact, keepPart, sha256 } from './artifacts.ts';
import { countUnusedBytes, removeUnused } from './unused-artifacts.ts';

const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const file = Buffer.from('a model file');
const hash = sha256(file);

let database: TestDatabase;
let s3: S3Server;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  s3 = await startS3Server(KEYS.accessKeyId, KEYS.secretAccessKey);
});
beforeEach(async () => {
  await database.reset();
  s3.objects.clear();
});
afterAll(async () => {
  await database.drop();
  await s3.close();
});

const bucket = (secretAccessKey = KEYS.secretAccessKey) =>
  createBucket({
    bucket: 'models',
    prefix: 'tandem/v1',
    endpoint: s3.endpoint,
    region: 'eu-west-1',
    ...KEYS,
    secretAccessKey,
  });

describe.each([
  ['Postgres', () => createArtifactStore(database.pool)],
  ['a bucket', () => createArtifactStore(database.pool, bucket())],
])('an artifact in %s', (_, open) => {
  test('is read as it was stored; storing it again changes nothing', async () => {
    const store = open();
    expect(await store.sizeOf(hash)).toBeNull();
    await store.put(hash, file);
    await store.put(hash, file);
    expect(await store.sizeOf(hash)).toBe(file.length);
    expect(await store.get(hash)).toEqual(file);
  });

  test('is rejected if its bytes have another hash, or if it is missing', async () => {
    const store = open();
    await expect(store.put(sha256(Buffer.from('other')), file)).rejects.toMatchObject({ code: 'model_refused' });
    await expect(store.get(hash)).rejects.toMatchObject({
      code: 'model_refused',
      message: expect.stringContaining('missing'),
    });
  });

  test('is never returned if its stored bytes are damaged', async () => {
    const store = open();
    await store.put(hash, file);
    await database.pool.query(`update tandem.artifacts set bytes = 'other' where bytes is not null`);
    for (const key of s3.objects.keys()) s3.objects.set(key, Buffer.from('other'));
    await expect(store.get(hash)).rejects.toMatchObject({ message: expect.stringContaining('damaged') });
  });
});

const age = (hours: number) =>
  database.pool.query(`update tandem.artifacts set created_at = created_at - interval '${hours} hours';
    update tandem.artifact_objects set put_at = put_at - interval '${hours} hours';
    update tandem.artifact_parts set uploaded_at = uploaded_at - interval '${hours} hours'`);

const WAITING = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;

test('a file or part without a version is deleted after a day; others stay', async () => {
  const store = createArtifactStore(database.pool);
  const adopted = visitsPredictor();
  await adopt(database.pool, { predictors: [adopted], actor: 'test' });
  await store.put(hash, file);
  await keepPart(database.pool, { hash: sha256(Buffer.from('x')), firstByte: 0, total: 9, bytes: Buffer.from('part') });
  expect(await countUnusedBytes(database.pool)).toBe(file.length + 'part'.length);
  await age(23);
  expect(await removeUnused(database.pool, null)).toBe(0);
  await age(2);
  expect(await removeUnused(database.pool, null)).toBe(1);
  const { rows } = await database.pool.query<{ hash: string }>('select hash from tandem.artifacts');
  expect(rows.map((row) => row.hash)).toEqual([adopted.definition.artifactHash]);
  expect(await countUnusedBytes(database.pool)).toBe(0);
});

describe.each([
  ['sent', (store: ArtifactStore) => store.renew(hash)],
  ['put', (store: ArtifactStore) => store.put(hash, file)],
  ['adopted', () => insertArtifact(database.pool, hash, file)],
])('a stored file that is sent again (%s)', (_, again) => {
  test('is kept for another day', async () => {
    const store = createArtifactStore(database.pool);
    await store.put(hash, file);
    await age(25);
    await again(store);
    expect(await removeUnused(database.pool, null)).toBe(0);
    expect(await store.get(hash)).toEqual(file);
  });

  test('is stored again, or not removed, if it is sent during its removal', async () => {
    const store = createArtifactStore(database.pool);
    await store.put(hash, file);
    await age(25);
    const { sent } = await transaction(database.pool, async (db) => {
      await db.query('delete from tandem.artifacts');
      const sent = again(store);
      await expect.poll(async () => (await database.pool.query(WAITING)).rowCount).toBe(1);
      return { sent };
    });
    if ((await sent) === null) await store.put(hash, file);
    expect(await store.get(hash)).toEqual(file);
  });
});

describe('a bucket', () => {
  test('holds the bytes, and Postgres their location; files that Postgres already holds are found, too', async () => {
    await createArtifactStore(database.pool, bucket()).put(hash, file);
    const [path = ''] = s3.objects.keys();
    expect(path).toMatch(new RegExp(`^/models/tandem/v1/${hash}-[0-9a-f-]{36}$`));
    const { rows } = await database.pool.query('select bytes, location, size::int from tandem.artifacts');
    expect(rows).toEqual([{ bytes: null, location: path.slice('/models/'.length), size: file.length }]);
    const older = Buffer.from('from before');
    await createArtifactStore(database.pool).put(sha256(older), older);
    expect(await createArtifactStore(database.pool, bucket()).get(sha256(older))).toEqual(older);
    const unaware = createArtifactStore(database.pool).get(hash);
    await expect(unaware).rejects.toMatchObject({ remedy: expect.stringContaining('ARTIFACT_URL') });
  });

  test('that fails briefly is asked again; a bucket that rejects requests is unavailable, and the reason is logged', async () => {
    const store = createArtifactStore(database.pool, bucket());
    s3.failNext(2);
    await store.put(hash, file);
    s3.failNext(3);
    await expect(store.get(hash)).rejects.toMatchObject({ code: 'unavailable', detail: 'HTTP 503' });
    const wrong = createArtifactStore(database.pool, bucket('another secret'));
    await expect(wrong.get(hash)).rejects.toMatchObject({
      code: 'unavailable',
      detail: 'HTTP 403 SignatureDoesNotMatch',
    });
  });

  test('that lost a file gives an error that the file is missing', async () => {
    const store = createArtifactStore(database.pool, bucket());
    await store.put(hash, file);
    s3.objects.clear();
    await expect(store.get(hash)).rejects.toMatchObject({ message: expect.stringContaining('missing in its bucket') });
  });

  test('is cleared of files without a version and of killed uploads; other objects stay', async () => {
    const store = createArtifactStore(database.pool, bucket());
    const adopted = visitsPredictor();
    await adopt(database.pool, { predictors: [adopted], actor: 'test' });
    await store.put(hash, file);
    const used = Buffer.from('used');
    await store.put(sha256(used), used);
    await database.pool.query('update tandem.model_versions set artifact_hash = $1', [sha256(used)]);
    await database.pool.query("insert into tandem.artifact_objects (location) values ('tandem/v1/killed')");
    s3.objects.set('/models/tandem/v1/killed', file);
    await age(25);
    const again = Buffer.from('put just now');
    await store.put(sha256(again), again);
    s3.failNext(3);
    await expect(removeUnused(database.pool, bucket())).rejects.toMatchObject({ code: 'unavailable' });
    await removeUnused(database.pool, bucket());
    expect([...s3.objects.values()].map(String).toSorted()).toEqual(['put just now', 'used']);
    expect(await store.get(sha256(used))).toEqual(used);
    const { rows } = await database.pool.query('select from tandem.artifact_objects');
    expect(rows).toHaveLength(2);
  });

  test('keeps the file of an upload that began while the same file of another was removed', async () => {
    const store = createArtifactStore(database.pool, bucket());
    await store.put(hash, file);
    await age(25);
    const slow = {
      ...bucket(),
      remove: async (location: string) => {
        await store.put(hash, file);
        await bucket().remove(location);
      },
    };
    expect(await removeUnused(database.pool, slow)).toBe(2);
    expect(await store.get(hash)).toEqual(file);
  });
});
