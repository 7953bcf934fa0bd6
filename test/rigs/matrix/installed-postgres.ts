/** Finds a Postgres with JIT that a distribution installed, and its version. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '@tandem/local-servers/run-command';
import { NotHere } from './images.ts';

export interface InstalledPostgres {
  readonly binDir: string;
  /** The version, such as `15.14, JIT`. */
  readonly version: string;
}

/**
 * Finds the programs in `TEST_POSTGRES_BIN_<major>`, or in the folder of Debian, Ubuntu and PGDG. Rejects with
 * `NotHere` if there is no Postgres, or if it was built without LLVM and therefore has no JIT to test.
 */
export async function findInstalledPostgres(major: number): Promise<InstalledPostgres> {
  const variable = `TEST_POSTGRES_BIN_${major}`;
  const binDir = process.env[variable] || `/usr/lib/postgresql/${major}/bin`;
  const remedy = `install postgresql-${major} of a distribution with JIT, or name its folder in ${variable}`;
  const { code, stdout } = await runCommand(join(binDir, 'postgres'), ['--version']);
  const version = /\(PostgreSQL\) ((\d+)[\d.]*)/.exec(stdout);
  if (code !== 0 || version?.[2] !== String(major)) throw new NotHere(`no Postgres ${major} in ${binDir}: ${remedy}`);
  if (!existsSync(join(binDir, '../lib/llvmjit.so'))) throw new NotHere(`${binDir} has no JIT: ${remedy}`);
  return { binDir, version: `${version[1]}, JIT` };
}
