/**
 * A real failover that loses commits. The test's database is copied, like a standby, and continues. Then the copy
 * replaces it, under another history. Every connection breaks, as when a primary dies.
 */
import { createPool } from '@tandem/offline-store/sql/database';
import { rotateHistory } from '@tandem/offline-store/sql/history-marks';
import { inject, vi } from 'vitest';
import type { PredictionWorld } from '../prediction-world.fixture.ts';

export interface Standby {
  /** Loses all later commits. Resolves when the database answers again, under another history. */
  takeOver(): Promise<void>;
}

/** Copies the database as a standby that receives no more commits. No statement may be running. */
export async function receiveNothingMore(world: PredictionWorld): Promise<Standby> {
  const url = new URL(world.pool.options.connectionString ?? '');
  const name = url.pathname.slice(1);
  const copy = `${name}_standby`;
  await onServer([
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
    `create database ${copy} template ${name} strategy file_copy`,
  ]);
  await untilItAnswers(world);
  return {
    async takeOver() {
      url.pathname = `/${copy}`;
      const pool = createPool({ url: url.href, max: 1, applicationName: 'lossy-failover' });
      await rotateHistory(pool, 'test').finally(() => pool.end());
      await onServer([`drop database ${name} with (force)`, `alter database ${copy} rename to ${name}`]);
      await untilItAnswers(world);
    },
  };
}

async function onServer(statements: readonly string[]): Promise<void> {
  const pool = createPool({ url: inject('databaseUrl'), max: 1, applicationName: 'lossy-failover' });
  try {
    for (const statement of statements) await pool.query(statement);
  } finally {
    await pool.end();
  }
}

/** Waits until no connection of the pool is broken. A broken connection is detected only when it is used. */
async function untilItAnswers({ pool, authority }: PredictionWorld): Promise<void> {
  await vi.waitFor(async () => {
    await authority.certify([]);
    await Promise.all(Array.from({ length: pool.totalCount + 1 }, () => pool.query('select')));
  }, 30_000);
}
