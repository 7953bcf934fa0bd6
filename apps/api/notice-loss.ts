/**
 * Has a database that was set back behind this process's back found out before anybody is certified by it: whoever was
 * connected to it before has to connect anew, and each connection for certificates looks first.
 */

import type { createPool } from '@tandem/offline-store/database';
import { sqlState } from '@tandem/offline-store/database';
import { createHistoryMarks, lookForMark } from '@tandem/offline-store/history-marks';
import { createLossNotice } from '@tandem/prediction/events/notice-loss';
import type { Log } from '@tandem/telemetry/log';

type Pool = ReturnType<typeof createPool>;

export interface NoticingLoss {
  /** Looks through a new connection. Where a loss is noticed, another history has begun when this resolves. */
  look(client: Parameters<typeof lookForMark>[1]): Promise<void>;
  stop(): Promise<void>;
}

const EVERY_MS = 2_000;
/** No such table, no right to it: a schema that is older than this release, or a role with less. Then nobody can look. */
const CANNOT_LOOK = ['42P01', '42501'];

export function keepNoticingLoss(pool: Pool, log: Log, everyMs: number = EVERY_MS): NoticingLoss {
  const losses = createLossNotice(createHistoryMarks(pool));
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let underWay = round();

  function tell(isLost: boolean): void {
    if (isLost) log.warn('history.loss_noticed', { remedy: 'after a restore of Postgres: tandem history rotate' });
  }

  async function round(): Promise<void> {
    // A database that is away is told of by whoever needs it.
    tell(await losses.round().catch(() => false));
    if (!isStopped) timer = setTimeout(again, everyMs).unref();
  }

  function again(): void {
    underWay = round();
  }

  return {
    async look(client) {
      const known = losses.known();
      if (known === null) return;
      try {
        tell((await lookForMark(pool, client, known)).isLost);
      } catch (error) {
        if (!CANNOT_LOOK.includes(sqlState(error) ?? '')) throw error;
      }
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await underWay;
    },
  };
}
