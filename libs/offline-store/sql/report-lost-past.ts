/** Begins another history when a read finds that a crash of Postgres has lost commits. */
import type { LostLabel, LostPast } from '@tandem/freshness/lost-past';
import type pg from 'pg';
import { sqlState } from './database.ts';
import { replaceHistory } from './history-marks.ts';

interface LossSigns {
  readonly metrics: { readonly lostPasts: { inc(): void } };
  readonly log: { error(event: 'history.commits_lost', fields: Readonly<Record<string, unknown>>): void };
}

const REMEDY = 'set synchronous_commit = on in sessions that write what Tandem watches';

export function reportLostPast(pool: pg.Pool, { metrics, log }: LossSigns): LostPast {
  /** The history that this login may not replace: it is not tried again with each read. */
  let kept: string | undefined;
  return {
    async report({ history, predictor, label, version }: LostLabel) {
      metrics.lostPasts.inc();
      if (history === kept) return;
      const lost = { predictor, label, version };
      try {
        if (await replaceHistory(pool, history)) log.error('history.commits_lost', { ...lost, remedy: REMEDY });
      } catch (cause) {
        if (sqlState(cause) === '42501') kept = history;
        const remedy = `as the owner of the schema: tandem history rotate; ${REMEDY}`;
        log.error('history.commits_lost', { ...lost, error: cause, remedy });
      }
    },
  };
}
