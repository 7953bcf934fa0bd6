import { rm } from 'node:fs/promises';
import { cloneDatabase } from '@tandem/testing/databases';
import { expect, inject, it } from 'vitest';
import { mixInference } from './mixed-inference.fixture.ts';
import { makeFolder, ownRedis } from './servers.fixture.ts';

it('no caller of the Open Inference Protocol gets a row of another, of 1,000,000', { timeout: 1_200_000 }, async () => {
  const folder = await makeFolder();
  const redis = await ownRedis(folder);
  const database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  try {
    const servers = { databaseUrl: database.url, redisUrl: redis.url };
    const { asked, answered, foreign, kills, byKind } = await mixInference({ rows: 1_000_000, seed: 2, ...servers });
    expect(foreign).toEqual([]);
    expect(asked).toBeGreaterThanOrEqual(1_000_000);
    expect(answered).toBeGreaterThan(asked / 4);
    expect(Object.keys(byKind).sort()).toEqual([
      ...['grpc raw', 'grpc typed', 'grpc users', 'http binary', 'http json', 'http users'],
    ]);
    expect(kills).toBeGreaterThan(0);
  } finally {
    await database.drop();
    await redis.close();
    await rm(folder, { recursive: true, force: true });
  }
});
