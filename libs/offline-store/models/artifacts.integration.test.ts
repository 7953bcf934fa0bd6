import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { type S3Server, startS3Server } from '../s3-server.fixture.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createBucket } from './artifact-bucket.ts';
import { createArtifactStore, sha256 } from './artifacts.ts';

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
  test('comes back as it was put; to put it again changes nothing', async () => {
    const store = open();
    expect(await store.sizeOf(hash)).toBeNull();
    await store.put(hash, file);
    await store.put(hash, file);
    expect(await store.sizeOf(hash)).toBe(file.length);
    expect(await store.get(hash)).toEqual(file);
  });

  test('is refused where it is another file, or none', async () => {
    const store = open();
    await expect(store.put(sha256(Buffer.from('other')), file)).rejects.toMatchObject({ code: 'model_refused' });
    await expect(store.get(hash)).rejects.toMatchObject({
      code: 'model_refused',
      message: expect.stringContaining('missing'),
    });
  });

  test('that is damaged where it lies is never given out', async () => {
    const store = open();
    await store.put(hash, file);
    await database.pool.query(`update tandem.artifacts set bytes = 'other' where bytes is not null`);
    for (const key of s3.objects.keys()) s3.objects.set(key, Buffer.from('other'));
    await expect(store.get(hash)).rejects.toMatchObject({ message: expect.stringContaining('damaged') });
  });
});

test('a file that became no version goes after a day, when another comes; one that did stays', async () => {
  const store = createArtifactStore(database.pool);
  const adopted = visitsPredictor();
  await adopt(database.pool, { predictors: [adopted], actor: 'test' });
  await store.put(hash, file);
  const another = Buffer.from('another');
  await store.put(sha256(another), another);
  expect(await store.sizeOf(hash)).toBe(file.length);
  await database.pool.query(`update tandem.artifacts set created_at = created_at - interval '25 hours'`);
  const third = Buffer.from('a third');
  await store.put(sha256(third), third);
  const kept = [adopted.definition.artifactHash, sha256(third)].toSorted();
  const { rows } = await database.pool.query<{ hash: string }>('select hash from tandem.artifacts order by hash');
  expect(rows.map((row) => row.hash)).toEqual(kept);
});

describe('a bucket', () => {
  test('holds the bytes, and Postgres where they lie; what Postgres holds from before is found beside', async () => {
    await createArtifactStore(database.pool, bucket()).put(hash, file);
    expect([...s3.objects.keys()]).toEqual([`/models/tandem/v1/${hash}`]);
    const { rows } = await database.pool.query('select bytes, location, size::int from tandem.artifacts');
    expect(rows).toEqual([{ bytes: null, location: `tandem/v1/${hash}`, size: file.length }]);
    const older = Buffer.from('from before');
    await createArtifactStore(database.pool).put(sha256(older), older);
    expect(await createArtifactStore(database.pool, bucket()).get(sha256(older))).toEqual(older);
    const unaware = createArtifactStore(database.pool).get(hash);
    await expect(unaware).rejects.toMatchObject({ remedy: expect.stringContaining('ARTIFACT_URL') });
  });

  test('that is away for a moment is asked again; one that refuses is unavailable, and says why to the log', async () => {
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

  test('that lost a file says that it is missing', async () => {
    const store = createArtifactStore(database.pool, bucket());
    await store.put(hash, file);
    s3.objects.clear();
    await expect(store.get(hash)).rejects.toMatchObject({ message: expect.stringContaining('missing in its bucket') });
  });
});
