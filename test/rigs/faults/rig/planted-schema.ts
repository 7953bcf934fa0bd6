/** Migrates a scratch database with the plants that change its SQL. */
import { cp, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { applyPatches, byFile, type Plant } from '../plant/patch.ts';

const MIGRATIONS = new URL('../../../../migrations/', import.meta.url);

/** @param folder receives the changed files, and may be overwritten */
export async function migratePlanted(url: string, plants: readonly Plant[], folder: string): Promise<void> {
  const changed = [...byFile(plants)].filter(([file]) => file.startsWith('migrations/'));
  if (changed.length === 0) return void (await migrate(url));
  await cp(MIGRATIONS, folder, { recursive: true });
  for (const [file, patches] of changed) {
    const path = join(folder, basename(file));
    await writeFile(path, applyPatches(await readFile(path, 'utf8'), patches));
  }
  await migrate(url, undefined, pathToFileURL(`${folder}/`));
}
