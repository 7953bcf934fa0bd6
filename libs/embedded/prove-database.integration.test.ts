/** The paths to Postgres and the login of feature statements at the start of an API, on real databases. */

import { createPool } from '@tandem/offline-store/sql/database';
import { cloneDatabase, createEmptyDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { proveDatabase } from './prove-database.ts';

let ours: TestDatabase;
let other: TestDatabase;
beforeAll(async () => {
  ours = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  other = await createEmptyDatabase(inject('databaseUrl'));
});
afterAll(async () => {
  await ours.drop();
  await other.drop();
});

/** @param featuresUrl as FEATURES_DATABASE_URL says it */
async function open(featuresUrl: string) {
  const settings = { max: 1, applicationName: 'feature-login-test' };
  const pool = createPool({ ...settings, url: ours.url });
  const features = createPool({ ...settings, url: featuresUrl });
  try {
    const parts = await proveDatabase({ url: ours.url, featuresUrl }, { pool, features, vital: pool });
    const failures = await Promise.allSettled(parts.map(({ check }) => check()));
    return failures.map(({ status }) => status);
  } finally {
    await Promise.all([pool.end(), features.end()]);
  }
}

test('with one login the paths alone are looked at', async () => {
  expect(await open(ours.url)).toEqual(['fulfilled']);
});

test('another address of the same database is accepted, and is a part of readiness', async () => {
  expect(await open(`${ours.url}?application_name=features`)).toEqual(['fulfilled', 'fulfilled']);
});

test('another database ends the start, with the problem and its fix', async () => {
  await expect(open(other.url)).rejects.toMatchObject({
    code: 'config_invalid',
    field: 'FEATURES_DATABASE_URL',
    message: expect.stringContaining(`names another database than DATABASE_URL`),
  });
});

test('a server that does not answer lets the API start, and keeps it from being ready', async () => {
  const nowhere = new URL(ours.url);
  nowhere.port = '1';
  expect(await open(nowhere.href)).toEqual(['rejected', 'rejected']);
});
