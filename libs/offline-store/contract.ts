/**
 * The second half of an upgrade of the schema ("expand, then contract"). `migrate` adds what a release needs and leaves what the
 * release before uses; the files of /migrations/contract drop the latter. A release serves with these files or without, so
 * they are no part of `schemaState`.
 */
import { TandemError } from '@tandem/freshness/errors';
import { RELEASE } from '@tandem/telemetry/release';
import { GONE_AFTER_MS, listProcesses } from './rollouts/processes.ts';
import { createPool } from './sql/database.ts';
import { migrate } from './sql/migrate.ts';

const FOLDER = new URL('../../migrations/contract/', import.meta.url);
const TABLE = 'contractions';

/**
 * Drops what only earlier releases use; they cannot serve from the database afterwards. Resolves with the names applied now.
 * Rejects with `unavailable` while a process of another release is alive, and as `migrate` does.
 */
export async function contract(databaseUrl: string): Promise<readonly string[]> {
  const pool = createPool({ url: databaseUrl, max: 1, applicationName: 'tandem-migrate' });
  const processes = await listProcesses(pool).finally(() => pool.end());
  const other = processes.find(({ release }) => release !== RELEASE);
  if (other === undefined) return migrate(databaseUrl, undefined, FOLDER, TABLE);
  const { kind, host, pid, release } = other;
  throw new TandemError(
    'unavailable',
    `A process of another release is alive (${kind} ${release}, process ${pid} on ${host}), and may use what would be dropped.`,
    {
      retryAfter: GONE_AFTER_MS / 1_000,
      remedy: 'stop it, or start it on this release; then run `tandem migrate --contract` again',
    },
  );
}
