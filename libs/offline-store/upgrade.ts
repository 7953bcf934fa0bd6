/**
 * Finishes an upgrade after all processes run the next release. `migrate` adds the objects that a release needs and
 * keeps those that the previous release uses ("expand"); the files of /migrations/contract drop these ("contract"). A
 * release can serve before and after its own contract files are applied.
 */
import { setTimeout } from 'node:timers/promises';
import { TandemError } from '@tandem/freshness/errors';
import { RELEASE } from '@tandem/telemetry/release';
import type pg from 'pg';
import { GONE_AFTER_MS, listProcesses } from './processes/processes.ts';
import { createPool, withClient } from './sql/database.ts';
import { CONTRACT_TABLE, contractFolder, migrate } from './sql/migrate.ts';

const LOOK_MS = 1_000;
/** The default wait: a pod may take half a minute to end, and pods are replaced one after the other. */
const UPGRADED_WITHIN_MS = 300_000;

/**
 * Drops objects that only earlier releases use. Resolves with the newly applied names. Rejects with `unavailable` while
 * a process of another release is running, and otherwise like `migrate`. No process can start during the call.
 */
export async function contractSchema(databaseUrl: string): Promise<readonly string[]> {
  const pool = createPool({ url: databaseUrl, max: 2, applicationName: 'tandem-migrate' });
  try {
    return await withClient(pool, async (client) => {
      // A process acquires the same lock when it registers (rollouts/processes.ts). The lock ends with the session.
      await client.query(`select pg_advisory_lock(hashtext('tandem.processes'))`);
      await assertUpgraded(pool);
      const applied = await migrate(databaseUrl, undefined, contractFolder(), CONTRACT_TABLE);
      await client.query(`select pg_advisory_unlock(hashtext('tandem.processes'))`);
      return applied;
    });
  } finally {
    await pool.end();
  }
}

/** Rejects with `unavailable` while a process of another release is running. */
async function assertUpgraded(pool: pg.Pool): Promise<void> {
  const other = (await listProcesses(pool)).find(({ release }) => release !== RELEASE);
  if (other === undefined) return;
  const { kind, host, pid, release } = other;
  throw new TandemError(
    'unavailable',
    `A process of another release is running (${kind} ${release}, process ${pid} on ${host}); this is release ${RELEASE}.`,
    { retryAfter: GONE_AFTER_MS / 1_000, remedy: 'stop it, or start it on this release; then retry' },
  );
}

/** Waits until no process of another release is running. After the time limit, rejects with the process that still is. */
export async function untilUpgraded(pool: pg.Pool, withinMs = UPGRADED_WITHIN_MS): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await assertUpgraded(pool);
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await setTimeout(LOOK_MS);
  }
}
