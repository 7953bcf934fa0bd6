import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { findModelVersion } from '../models/registry.ts';
import { assertMigrated } from '../sql/assert-migrated.ts';
import { migrate, schemaState } from '../sql/migrate.ts';
import { createTestDatabase, createVisits, patientFeatures, visitsPredictor } from '../store.fixture.ts';
import { createAuthority } from './authority.ts';
import { createPlainAuthority } from './plain-authority.ts';

const unknown = {
  code: 'protocol_unknown',
  message: 'The database follows freshness protocol 2; this release knows protocol 1 only.',
};

test('no statement certifies under a protocol that this release does not know, from the commit of the change on', async () => {
  const { pool, url, drop } = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const authority = createAuthority(url, { timeoutMs: 20_000 });
  try {
    await createVisits(pool, 3);
    const [adopted] = (await adopt(pool, { predictors: [visitsPredictor()], actor: 'test' })).predictors;
    const version = await findModelVersion(pool, adopted?.modelVersionId ?? '');
    const features = patientFeatures(pool);
    const certify = [
      () => authority.certify(['1'], 'visits'),
      () => createPlainAuthority(pool).certify(['1'], 'visits'),
      // The first reader knows no arms. The second also knows the types. The third reads packed rows.
      ...Array.from({ length: 3 }, () => () => features.readUsers(version, ['1'])),
    ];
    for (const ask of certify) await expect(ask()).resolves.toBeDefined();
    await pool.query('update tandem.settings set protocol = 2');
    for (const ask of certify) await expect(ask()).rejects.toMatchObject(unknown);
    expect(await schemaState(pool)).toMatchObject({ state: 'other_protocol', protocol: 2 });
    await pool.query('update tandem.settings set protocol = 1');
    for (const ask of certify) await expect(ask()).resolves.toBeDefined();
  } finally {
    await authority.close();
    await drop();
  }
});

test('a schema of an earlier protocol must be migrated; one of a later protocol needs a newer release', async () => {
  const { pool, drop } = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const refusal = { code: 'config_invalid', field: 'DATABASE_URL' };
  const newer = 'run the release that migrated the database, or a newer one';
  try {
    await pool.query('select tandem.raise_protocol(0)');
    expect(await schemaState(pool)).toMatchObject({ state: 'other_protocol', protocol: 0 });
    await expect(assertMigrated(pool)).rejects.toMatchObject({ ...refusal, remedy: 'run `tandem migrate`' });
    await pool.query(`delete from tandem.migrations where name like '0064%'`);
    expect(await schemaState(pool)).toMatchObject({ state: 'behind', protocol: 0 });
    await expect(assertMigrated(pool)).rejects.toMatchObject({ ...refusal, remedy: 'run `tandem migrate`' });
    await pool.query('select tandem.raise_protocol(2)');
    expect(await schemaState(pool)).toMatchObject({ state: 'other_protocol', protocol: 2 });
    await expect(assertMigrated(pool)).rejects.toMatchObject({ ...refusal, remedy: newer });
  } finally {
    await drop();
  }
});

test('the schema of a release without a protocol number certifies nothing for this release', async () => {
  const { pool, url, drop } = await createTestDatabase(inject('databaseUrl'));
  const folder = await mkdtemp(join(tmpdir(), 'tandem-migrations-'));
  const authority = createAuthority(url, { timeoutMs: 20_000 });
  try {
    const migrations = new URL('../../../migrations/', import.meta.url);
    const before = (await readdir(migrations)).filter((file) => file.endsWith('.sql') && file < '0065');
    for (const file of before) await copyFile(new URL(file, migrations), join(folder, file));
    await migrate(url, undefined, pathToFileURL(`${folder}/`));
    await expect(authority.certify([])).rejects.toThrow(
      /column .*protocol.* does not exist|relation .*watch_faults.* does not exist/,
    );
    expect(await schemaState(pool)).toMatchObject({ state: 'behind', protocol: null });
    await migrate(url);
    await expect(authority.certify([])).resolves.toBeDefined();
    expect(await schemaState(pool)).toMatchObject({ state: 'current', protocol: 1 });
  } finally {
    await authority.close();
    await rm(folder, { recursive: true });
    await drop();
  }
});
