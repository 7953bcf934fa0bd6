/** A Postgres with JIT that a distribution installed: where its programs are, and which version they are. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '@tandem/local-servers/run-command';
import { NotHere } from './images.ts';

export interface InstalledPostgres {
  readonly binDir: string;
  /** `15.14, JIT`. */
  readonly version: string;
}

/**
 * Looks in `TEST_POSTGRES_BIN_<major>`, else where Debian, Ubuntu and PGDG put it. Rejects with `NotHere`, also for a Postgres
 * that was built without LLVM: it would prove nothing.
 */
export async function findInstalledPostgres(major: number): Promise<InstalledPostgres> {
  const variable = `TEST_POSTGRES_BIN_${major}`;
  const binDir = process.env[variable] || `/usr/lib/postgresql/${major}/bin`;
  const remedy = `install postgresql-${major} of a distribution, with its JIT, or name its folder in ${variable}`;
  const { code, stdout } = await runCommand(join(binDir, 'postgres'), ['--version']);
  const version = /\(PostgreSQL\) ((\d+)[\d.]*)/.exec(stdout);
  if (code !== 0 || version?.[2] !== String(major)) throw new NotHere(`no Postgres ${major} in ${binDir}: ${remedy}`);
  if (!existsSync(join(binDir, '../lib/llvmjit.so'))) throw new NotHere(`${binDir} has no JIT: ${remedy}`);
  return { binDir, version: `${version[1]}, JIT` };
}
