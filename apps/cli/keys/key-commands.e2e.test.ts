/** Tests of `tandem key` as a process. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { announceRunning } from '@tandem/local-servers/running-file';
import { pepperId } from '@tandem/prediction/keys/api-key';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Ended, runCli } from '../cli.fixture.ts';
import { type Ran, run } from '../program.fixture.ts';

let folder: string;
let database: TestDatabase;
let env: Record<string, string>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-keys-'));
  await writeFile(join(folder, 'pepper'), `${'p'.repeat(40)}\n`);
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  env = { DATABASE_URL: database.url, API_KEY_PEPPER_FILE: join(folder, 'pepper') };
});
afterAll(async () => {
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

const key = (...args: string[]): Promise<Ran> => run(['key', ...args], { cwd: folder, env });
const spawned = (...args: string[]): Promise<Ended> => runCli(['key', ...args], { cwd: folder, env });

test('a key is shown once, listed without its secret, limited, rotated, and revoked', async () => {
  const made = await spawned(
    'create',
    '--name',
    'the shop',
    '--scopes',
    'predictions:read,events:write',
    '--rate',
    '90/m',
  );
  expect(made).toMatchObject({ code: 0, err: '' });
  const [text = '', ...rest] = made.out.split('\n');
  expect(text).toMatch(/^tandem_live_[0-9a-f]{16}_[0-9a-f]{64}_[0-9a-f]{8}$/);
  expect(rest.join('\n')).toMatch(/shown only once/);
  const id = text.slice(12, 28);

  const listed = await key('list');
  expect(listed.out).toMatch(
    new RegExp(`^${id}  the shop  live  active  predictions:read, events:write  1\\.5 requests/s`, 'm'),
  );
  expect(listed.out).not.toContain(text.slice(29, 93));

  const limited = await key('limit', id, '--rate', 'none', '--new-users', '50000/d');
  expect(limited).toMatchObject({ code: 0, out: `key ${id} (the shop): limits: 50000 new users/d\n` });

  const rotated = await key('rotate', id, '--grace', '1h');
  expect(rotated.out).toMatch(/The previous secret is accepted until 2/);
  const again = await spawned('rotate', id);
  expect(again).toMatchObject({ code: 1, out: '' });
  expect(again.err).toMatch(
    /was rotated: its previous secret is accepted until .*\n {2}wait until then, or add --drop-previous/,
  );

  expect((await key('revoke', id)).out).toBe(
    `key ${id} (the shop) is revoked; every API process rejects it within 5 s\n`,
  );
  expect((await key('list')).out).toMatch(/^no key; make one/);
  expect((await key('list', '--all')).out).toMatch(new RegExp(`^${id} .*revoked`, 'm'));
  expect((await key('rotate', id)).err).toMatch(/is revoked and cannot be changed/);
});

test.each([
  [['create', '--name', 'x', '--scopes', 'prediction:read'], 2, 'did you mean predictions:read?'],
  [['create', '--name', 'x'], 2, '--scopes'],
  [['create', '--name', 'x', '--scopes', 'all', '--expires', '90'], 2, 'such as 90d'],
  [['limit', '0123456789abcdef'], 2, 'no limit is given'],
  [['revoke', 'missing'], 1, 'There is no key "missing".'],
])('%j is rejected with a remedy', async (args, code, message) => {
  const ended = await key(...args);
  expect(ended).toMatchObject({ code, out: '' });
  expect(ended.err).toContain(message);
});

test('a new key has the quota of new users that existing keys got', async () => {
  const pool = new pg.Pool({ connectionString: database.url });
  const column = `select column_default::float8 as quota from information_schema.columns
    where table_schema = 'tandem' and table_name = 'api_keys' and column_name = 'new_users_per_day'`;
  const { rows } = await pool.query(column);
  await pool.end();
  const made = await key('create', '--name', 'x', '--scopes', 'events:write', '--json');
  const { id, newUsersPerDay } = JSON.parse(made.out);
  await key('revoke', id);
  expect(newUsersPerDay).toBe(rows[0].quota);
});

test('without a pepper no key is created', async () => {
  const place = { cwd: folder, env: { DATABASE_URL: database.url } };
  const ended = await run(['key', 'create', '--name', 'x', '--scopes', 'all'], place);
  expect(ended).toMatchObject({ code: 1, out: '' });
  expect(ended.err).toMatch(
    /^tandem: no API_KEY_PEPPER is configured.*\n {2}set API_KEY_PEPPER, or API_KEY_PEPPER_FILE/,
  );
});

describe('in the folder of a `tandem up`', () => {
  const PEPPER_OF_UP = 'u'.repeat(40);
  let place: string;
  let remove: () => void;
  beforeAll(async () => {
    place = join(folder, 'up');
    await mkdir(join(place, '.tandem'), { recursive: true });
    const services = { apiUrl: 'http://127.0.0.1:1', databaseUrl: database.url, redisUrl: null };
    remove = announceRunning(join(place, '.tandem'), { ...services, pepperId: pepperId(PEPPER_OF_UP) });
  });
  afterAll(() => remove());

  const create = (env: Record<string, string>) =>
    run(['key', 'create', '--name', 'x', '--scopes', 'all'], { cwd: place, env });
  const rotate = (env: Record<string, string>) => run(['key', 'rotate', '0'.repeat(16)], { cwd: place, env });

  test.each([
    [
      'another pepper',
      { API_KEY_PEPPER: 'o'.repeat(40) },
      /^tandem: API_KEY_PEPPER differs .*\n {2}unset API_KEY_PEPPER/,
    ],
    ['no pepper', {}, /^tandem: this command has no API_KEY_PEPPER.*\n {2}set API_KEY_PEPPER/],
  ])('a command with %s creates no key that the API would reject', async (_, own, message) => {
    for (const command of [create, rotate]) {
      const ended = await command(own);
      expect(ended).toMatchObject({ code: 1, out: '' });
      expect(ended.err).toMatch(message);
    }
  });

  test('a command with the pepper of the API creates a key', async () => {
    expect(await create({ API_KEY_PEPPER: PEPPER_OF_UP })).toMatchObject({ code: 0, err: '' });
  });

  test('doctor names keys with another pepper', async () => {
    const listed = await run(['key', 'list', '--json'], { cwd: place, env: {} });
    const [made] = JSON.parse(listed.out).keys;
    const keysOf = async (pepper: string) => {
      const ended = await run(['doctor', '--json'], { cwd: place, env: { API_KEY_PEPPER: pepper } });
      return JSON.parse(ended.out).findings.filter(({ subject }: { subject: string }) => subject === 'keys');
    };
    expect(await keysOf(PEPPER_OF_UP)).toEqual([]);
    expect(await keysOf('o'.repeat(40))).toEqual([
      expect.objectContaining({ level: 'warning', text: expect.stringContaining(`API_KEY_PEPPER (${made.id})`) }),
    ]);
  });

  test('a command for another database does not use the pepper of the folder', async () => {
    const other = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
    const ended = await create({ API_KEY_PEPPER: 'o'.repeat(40), DATABASE_URL: other.url });
    const withoutPepper = await create({ DATABASE_URL: other.url });
    await other.drop();
    expect(ended).toMatchObject({ code: 0, err: '' });
    // The API of the other database has another pepper than the folder.
    expect(withoutPepper).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('no API_KEY_PEPPER is configured'),
    });
  });
});
