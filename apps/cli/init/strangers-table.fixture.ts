/** Fixture: a database with an unknown table, a folder with an unknown model, and the CLI in that folder. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPool } from '@tandem/offline-store/sql/database';
import { cloneDatabase, createEmptyDatabase } from '@tandem/testing/databases';
import { inject } from 'vitest';
import type {} from '../cli.fixture.ts';
import { type Ran, run } from '../program.fixture.ts';
import { allowSlowReads } from './written-config.fixture.ts';

export interface Place {
  readonly folder: string;
  readonly databaseUrl: string;
  sql(text: string): Promise<void>;
  write(name: string, content: Buffer | string): Promise<void>;
  read(name: string): Promise<string>;
  /** Runs a command in the folder. Without --config, it uses a config in the folder. */
  tandem(line: string, env?: Readonly<Record<string, string>>): Promise<Ran>;
  /** Gives live reads 20 s in the config, so that `check` finds no slow read on a busy machine. */
  allowSlowReads(): Promise<void>;
  remove(): Promise<void>;
}

export async function createPlace({ migrated = true } = {}): Promise<Place> {
  const server = inject('databaseUrl');
  const database = migrated
    ? await cloneDatabase(server, inject('templateDatabase'))
    : await createEmptyDatabase(server);
  const folder = await mkdtemp(join(tmpdir(), 'tandem init '));
  return {
    folder,
    databaseUrl: database.url,
    async sql(text) {
      const pool = createPool({ url: database.url, max: 1, applicationName: 'stranger' });
      await pool.query(text).finally(() => pool.end());
    },
    write: (name, content) => writeFile(join(folder, name), content),
    read: (name) => readFile(join(folder, name), 'utf8'),
    tandem: (line, env = {}) => run(line.split(' '), { cwd: folder, env: { DATABASE_URL: database.url, ...env } }),
    allowSlowReads: () => allowSlowReads(folder),
    async remove() {
      await database.drop();
      await rm(folder, { recursive: true });
    },
  };
}
