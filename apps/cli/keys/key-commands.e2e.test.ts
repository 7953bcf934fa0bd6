/** `tandem key` as somebody types it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type Ended, runCli } from '../cli.fixture.ts';

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

const key = (...args: string[]): Promise<Ended> => runCli(['key', ...args], { cwd: folder, env });

test('a key is shown once, listed without its secret, rotated, and taken back', async () => {
  const made = await key('create', '--name', 'the shop', '--scopes', 'predictions:read,events:write', '--rate', '90/m');
  expect(made).toMatchObject({ code: 0, err: '' });
  const [text = '', ...rest] = made.out.split('\n');
  expect(text).toMatch(/^tandem_live_[0-9a-f]{16}_[0-9a-f]{64}_[0-9a-f]{8}$/);
  expect(rest.join('\n')).toMatch(/shown this once/);
  const id = text.slice(12, 28);

  const listed = await key('list');
  expect(listed.out).toMatch(
    new RegExp(`^${id}  the shop  live  active  predictions:read, events:write  1\\.5 requests/s`, 'm'),
  );
  expect(listed.out).not.toContain(text.slice(29, 93));

  const rotated = await key('rotate', id, '--grace', '1h');
  expect(rotated.out).toMatch(/The secret before is accepted until 2/);
  const again = await key('rotate', id);
  expect(again).toMatchObject({ code: 1, out: '' });
  expect(again.err).toMatch(
    /was rotated: its secret before is accepted until .*\n {2}wait until then, or add --drop-previous/,
  );

  expect((await key('revoke', id)).out).toBe(`key ${id} (the shop) is revoked, refused within 5 s\n`);
  expect((await key('list')).out).toMatch(/^no key; make one/);
  expect((await key('list', '--all')).out).toMatch(new RegExp(`^${id} .*revoked`, 'm'));
  expect((await key('rotate', id)).err).toMatch(/is revoked, and stays so/);
});

test.each([
  [['create', '--name', 'x', '--scopes', 'prediction:read'], 2, 'did you mean predictions:read?'],
  [['create', '--name', 'x'], 2, '--scopes'],
  [['create', '--name', 'x', '--scopes', 'all', '--expires', '90'], 2, 'like 90d'],
  [['revoke', 'nobody'], 1, 'There is no key "nobody".'],
])('%j is refused with what helps', async (args, code, message) => {
  const ended = await key(...args);
  expect(ended).toMatchObject({ code, out: '' });
  expect(ended.err).toContain(message);
});

test('without a pepper no key is made', async () => {
  const place = { cwd: folder, env: { DATABASE_URL: database.url } };
  const ended = await runCli(['key', 'create', '--name', 'x', '--scopes', 'all'], place);
  expect(ended).toMatchObject({ code: 1, out: '' });
  expect(ended.err).toMatch(/^tandem: no pepper is known here.*\n {2}set API_KEY_PEPPER, or API_KEY_PEPPER_FILE/);
});
