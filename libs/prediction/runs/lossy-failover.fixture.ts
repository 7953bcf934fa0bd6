/**
 * A failover that loses commits, for real: the test's database is copied as a standby would have it, lives on, and is then
 * replaced by the copy, under another history. Every connection breaks, as it does when a primary dies.
 */
import { createPool } from '@tandem/offline-store/sql/database';
import { rotateHistory } from '@tandem/offline-store/sql/history-marks';
import { inject, vi } from 'vitest';
import type { PredictionWorld } from '../prediction-world.fixture.ts';

export interface Standby {
  /** All that was committed since is lost; resolves when the database answers again, under another history. */
  takeOver(): Promise<void>;
}

/** The data that a standby has received so far. No statement may be under way. */
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

/** Connections that broke are noticed one by one. */
async function untilItAnswers({ pool, authority }: PredictionWorld): Promise<void> {
  await vi.waitFor(async () => {
    await authority.certify([]);
    await Promise.all(Array.from({ length: pool.totalCount + 1 }, () => pool.query('select')));
  }, 10_000);
}
