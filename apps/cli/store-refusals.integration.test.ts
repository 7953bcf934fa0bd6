/** Tests of addresses that real servers reject. Each command shows the problem, the place and the fix. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '@tandem/local-servers/ports';
import { createPool } from '@tandem/offline-store/sql/database';
import { cloneDatabase } from '@tandem/testing/databases';
import { linearModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { makeFolder, type OwnRedis, ownRedis } from '../../test/e2e/servers.fixture.ts';
import { runCli } from './cli.fixture.ts';
import { run } from './program.fixture.ts';

const CONFIG = `export default { predictors: { churn: {
  model: './churn.onnx',
  features: { sql: 'select customer_id as user_id, a, b from missing_table', overlayFor: '1h' },
  outputs: { score: 'float32' },
} } };`;
let cwd: string;
let servers: string;
let redis: OwnRedis & { close(): Promise<void> };

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'tandem-refusals-'));
  await writeFile(join(cwd, 'tandem.config.ts'), CONFIG);
  await writeFile(join(cwd, 'churn.onnx'), linearModel({ weights: [1, 1] }));
  servers = await makeFolder();
  redis = await ownRedis(servers);
});
afterAll(async () => {
  await redis?.close();
  for (const folder of [cwd, servers]) await rm(folder, { recursive: true, force: true });
});

function changed(url: string, change: (url: URL) => void): string {
  const other = new URL(url);
  change(other);
  return other.href;
}

/**
 * Returns what a command says about the addresses of an environment.
 * @param how runs the command in this process or in a separate one
 */
async function said(
  command: string,
  env: Readonly<Record<string, string>>,
  how: typeof run | typeof runCli = run,
): Promise<string> {
  const given = { DATABASE_URL: inject('databaseUrl'), REDIS_URL: redis.url, PORT: String(await findFreePort()) };
  const { code, out, err } = await how([command], { cwd, env: { ...given, ...env } });
  expect(code).toBe(1);
  return out + err;
}

const COMMANDS = ['check', 'migrate', 'doctor', 'up'];

test.each(COMMANDS)('%s names the database that does not exist', async (command) => {
  const url = changed(inject('databaseUrl'), (one) => {
    one.pathname = '/no_such_database';
  });
  const text = await said(command, { DATABASE_URL: url });
  expect(text).toMatch(/database "no_such_database" does not exist\n.*create the database \(createdb\).*DATABASE_URL/);
  expect(text).not.toContain('does not answer');
});

test.each(COMMANDS)('%s says that sslmode demands TLS, which the server does not have', async (command) => {
  const url = changed(inject('databaseUrl'), (one) => one.searchParams.set('sslmode', 'require'));
  // A separate process, to see the warnings of drivers.
  const text = await said(command, { DATABASE_URL: url }, runCli);
  expect(text).toMatch(
    /the Postgres server has no TLS \(ssl = off\), but sslmode in DATABASE_URL demands it\n.*ssl = on/,
  );
  expect(text).not.toContain('Warning');
});

test('doctor reports missing rights on the schema once', async () => {
  const database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const pool = createPool({ url: database.url, max: 1, applicationName: 'refusals' });
  const role = `powerless_${randomBytes(4).toString('hex')}`;
  try {
    await pool.query(`create role ${role} login password 'secret'`);
    const url = changed(database.url, (one) => Object.assign(one, { username: role, password: 'secret' }));
    const text = await said('doctor', { DATABASE_URL: url });
    expect(text).toMatch(/error +schema .*\n.*grant the rights that are named above/);
    expect(text).not.toContain('fleet');
  } finally {
    await pool.query(`drop role if exists ${role}`);
    await pool.end();
    await database.drop();
  }
});

test.each(['doctor', 'up'])('%s says that Redis requires a password, or rejects the password', async (command) => {
  const without = changed(redis.url, (url) => {
    url.password = '';
  });
  expect(await said(command, { REDIS_URL: without })).toMatch(
    /the Redis server requires a password \(NOAUTH\), but the address has none\n.*REDIS_URL.*redis:\/\/:password@/,
  );
  const wrong = changed(redis.url, (url) => {
    url.password = 'wrong';
  });
  expect(await said(command, { REDIS_URL: wrong })).toMatch(
    /the Redis server rejects the user or the password \(WRONGPASS\)\n.*correct them in REDIS_URL/,
  );
});

test('check names a missing relation with its line, and does not suggest another form of the query', async () => {
  expect(await said('check', {})).toMatch(
    /Postgres rejects the feature query: relation "missing_table" does not exist \(line 1 of the query\)\n.*correct its name, or create it.*search_path/,
  );
});
