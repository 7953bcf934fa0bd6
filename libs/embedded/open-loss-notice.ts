/**
 * Detects an unannounced database restore before a read is certified by the restored database: each new connection for
 * certificates looks for the newest marks that this process and Redis remember. While the mark of Redis cannot be
 * recalled, the process uses no candidates from Redis, and answers from Postgres' rows or live.
 */

import { TandemError } from '@tandem/freshness/errors';
import type { OnlinePredictions } from '@tandem/freshness/stored-prediction';
import type { createPool } from '@tandem/offline-store/sql/database';
import { sqlState } from '@tandem/offline-store/sql/database';
import { createHistoryMarks, lookForMarks } from '@tandem/offline-store/sql/history-marks';
import { createLossNotice, type MarkMemory } from '@tandem/prediction/events/notice-loss';
import type { Log } from '@tandem/telemetry/log';
import { repeat } from '@tandem/timing/repeat';

type Pool = ReturnType<typeof createPool>;

const EVERY_MS = 2_000;
/**
 * Milliseconds between rounds until the mark of the connected Redis has been read, since reads cannot use Redis before
 * that.
 */
const UNSURE_EVERY_MS = 100;
/**
 * The SQLSTATEs of an undefined table and an insufficient privilege. With an older schema or fewer rights, a process
 * cannot look for marks.
 */
const CANNOT_LOOK = ['42P01', '42501'];

export function openLossNotice(pool: Pool, memory: MarkMemory, log: Log, everyMs: number = EVERY_MS) {
  const losses = createLossNotice(createHistoryMarks(pool), memory);
  let cannotLook = false;
  let lastRound = Number.NEGATIVE_INFINITY;

  function tell(isLost: boolean): void {
    if (isLost) log.warn('history.loss_noticed', { remedy: 'after a restore of Postgres: tandem history rotate' });
  }

  const isSure = () => cannotLook || losses.isSure();

  async function round(): Promise<void> {
    if (isSure() && performance.now() - lastRound < everyMs) return;
    lastRound = performance.now();
    await tryRound();
  }

  /** Runs a round. It does not report a failure, since every other use of the database does. */
  async function tryRound(): Promise<void> {
    try {
      tell(await losses.round());
      cannotLook = false;
    } catch (error) {
      cannotLook = lacksRights(error);
    }
  }

  const rounds = repeat(Math.min(everyMs, UNSURE_EVERY_MS), round);
  return {
    /** Looks for the marks over a new connection. If it detects a loss, a new history has begun when this resolves. */
    async look(client: Parameters<typeof lookForMarks>[1]): Promise<void> {
      try {
        tell(await losses.connected((known) => lookForMarks(pool, client, known)));
      } catch (error) {
        if (!lacksRights(error)) throw error;
      }
    },
    /**
     * Wraps the predictions in Redis. `find` rejects with `unavailable` until Redis is known to contain nothing of a lost
     * past.
     */
    onceSure<Online extends OnlinePredictions>(online: Online): Online {
      const find: OnlinePredictions['find'] = (assignment, userIds) =>
        isSure() ? online.find(assignment, userIds) : Promise.reject(unsure());
      return { ...online, find };
    },
    prove: losses.prove,
    stop: rounds.stop,
  };
}

function lacksRights(error: unknown): boolean {
  return CANNOT_LOOK.includes(sqlState(error) ?? '');
}

function unsure(): TandemError {
  return new TandemError('unavailable', 'The history mark of the online store has not been read yet.', {
    remedy: 'check that Redis and Postgres run at the configured addresses, and that the user of Redis may call INFO',
  });
}
