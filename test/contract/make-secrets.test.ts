/** Tests the files that deploy/make-secrets.ts writes into its two volumes. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const PEPPER = 'api-key-pepper';
let secrets: string;
let pepper: string;
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-secrets-'));
  secrets = join(folder, 'secrets');
  pepper = join(folder, 'pepper');
  await Promise.all([secrets, pepper].map((one) => mkdir(one)));
});
afterEach(() => rm(resolve(secrets, '..'), { recursive: true }));

const makeSecrets = () =>
  promisify(execFile)(process.execPath, [join(root, 'deploy/make-secrets.ts'), secrets, pepper]);
const readPepper = () => readFile(join(pepper, PEPPER), 'utf8');

it('keeps the pepper in a separate folder, the same at each start', async () => {
  await makeSecrets();
  const made = await readPepper();
  expect(made.trim()).toMatch(/^[0-9a-f]{48}$/);
  for (const name of await readdir(secrets))
    expect(await readFile(join(secrets, name), 'utf8')).not.toContain(made.trim());
  await makeSecrets();
  expect(await readPepper()).toBe(made);
  expect(await readdir(pepper)).toEqual([PEPPER]);
});

it('reuses the pepper that an earlier release kept among the passwords', async () => {
  const before = `${'ab'.repeat(24)}\n`;
  await writeFile(join(secrets, PEPPER), before);
  await makeSecrets();
  expect(await readPepper()).toBe(before);
  expect(await readdir(secrets)).not.toContain(PEPPER);
});
