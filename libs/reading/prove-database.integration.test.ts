/**
 * Tests of the checks at the start of an API, on real databases: the paths to Postgres, and the login of feature
 * statements.
 */

import { createPool } from '@tandem/offline-store/sql/database';
import { cloneDatabase, createEmptyDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { assertLogins, proveDatabase } from './prove-database.ts';

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

/**
 * Checks the database of a test.
 * @param featuresUrl the value of FEATURES_DATABASE_URL
 */
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

test('with a single login, only the paths are checked', async () => {
  expect(await open(ours.url)).toEqual(['fulfilled']);
});

test('another address of the same database is accepted, and becomes a part of readiness', async () => {
  expect(await open(`${ours.url}?application_name=features`)).toEqual(['fulfilled', 'fulfilled']);
});

test('another database makes the start fail; the error names the problem and the fix', async () => {
  await expect(open(other.url)).rejects.toMatchObject({
    code: 'config_invalid',
    field: 'FEATURES_DATABASE_URL',
    message: expect.stringContaining(`names another database than DATABASE_URL`),
  });
});

test('if a server does not answer, the API starts but is not ready', async () => {
  const nowhere = new URL(ours.url);
  nowhere.port = '1';
  expect(await open(nowhere.href)).toEqual(['rejected', 'rejected']);
});

/** Checks the logins of addresses that differ from those of the test's database. */
async function login(directUrl: string, featuresUrl = ours.url) {
  const settings = { max: 1, applicationName: 'login-test' };
  const pool = createPool({ ...settings, url: ours.url });
  const vital = createPool({ ...settings, url: directUrl });
  const features = createPool({ ...settings, url: featuresUrl });
  try {
    await assertLogins({ url: ours.url, directUrl, featuresUrl }, { pool, features, vital });
  } finally {
    await Promise.all([pool, vital, features].map((each) => each.end()));
  }
}

const changed = (parts: Partial<URL>) => Object.assign(new URL(ours.url), parts).href;

test('a login that Postgres rejects, or an unknown database, is an error of the config, for each address', async () => {
  await expect(login(ours.url)).resolves.toBeUndefined();
  await expect(login(changed({ username: 'nope', password: 'wrong' }))).rejects.toMatchObject({
    code: 'config_invalid',
    field: 'DATABASE_DIRECT_URL',
    message: expect.stringMatching(/DATABASE_DIRECT_URL.*: (password authentication failed for user|role) "nope"/),
    remedy: expect.stringMatching(/^correct the .* in DATABASE_DIRECT_URL/),
  });
  await expect(login(ours.url, changed({ pathname: '/no_such_database' }))).rejects.toMatchObject({
    code: 'config_invalid',
    field: 'FEATURES_DATABASE_URL',
    message: expect.stringContaining('database "no_such_database" does not exist'),
    remedy: 'create the database (createdb), or correct its name in FEATURES_DATABASE_URL',
  });
});

test('a server that does not answer may come back, so its login is not rejected', async () => {
  await expect(login(changed({ port: '1' }))).resolves.toBeUndefined();
});
