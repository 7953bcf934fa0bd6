/** Stores the looks at rollouts: claims them, reads their figures, and keeps their findings. */
import type { Rollout } from '@tandem/freshness/rollout';
import { type Db, limitStatements, type Pool, query, transaction } from '@tandem/offline-store/sql/database';
import { changeRows, fetchRows, statements } from '@tandem/offline-store/sql/statements';
import type { RolloutCheck, RolloutChecks } from '../rules/analyse-rollouts.ts';
import type { ServedRecord } from '../rules/rollout-figures.ts';
import type { Judgement } from '../verdict/rollout-figures.ts';
import { findStepFigures } from './arm-counts.ts';
import { countOutcomes } from './outcome-passes.ts';

/** The number of newest checks that are kept for a rollout: with a look every minute, a day and a half. */
const MAX_CHECKS = 2_000;

export function createRolloutChecks(pool: Pool): RolloutChecks {
  return {
    claim: (rolloutId, intervalMs) => claim(pool, rolloutId, intervalMs),
    served: (rollout) => findServed(pool, rollout),
    outcomes: (rollout, metrics, budgetMs) => countOutcomes(pool, rollout, metrics, budgetMs),
    keep: (rolloutId, check) => keep(pool, rolloutId, check),
  };
}

async function claim(db: Db, rolloutId: string, intervalMs: number): Promise<boolean> {
  const rows = await query(db, {
    text: `update tandem.rollouts set checked_at = clock_timestamp()
      where id = $1 and state in ('running', 'held')
        -- A check from ahead of the clock, which was set back, does not hold up the next one.
        and coalesce(checked_at not between clock_timestamp() - $2 * interval '1 ms' and clock_timestamp(), true) returning id`,
    values: [rolloutId, intervalMs],
  });
  return rows.length > 0;
}

/** The time limit of a look at errors and times. */
const SERVED_TIMEOUT_MS = 5_000;

function findServed(pool: Pool, { id, step }: Rollout): Promise<ServedRecord> {
  return transaction(pool, async (db) => {
    await limitStatements(db, SERVED_TIMEOUT_MS);
    const [row] = await query<{ elapsedMs: number | null }>(db, {
      text: `select (extract(epoch from coalesce(ended_at, clock_timestamp()) - step_started_at) * 1000)::float8 as "elapsedMs"
        from tandem.rollouts where id = $1`,
      values: [id],
    });
    return { elapsedMs: row?.elapsedMs ?? 0, served: await findStepFigures(db, { id, step }) };
  });
}

async function keep(db: Db, rolloutId: string, { step, verdict, applied, judgement }: RolloutCheck): Promise<void> {
  const check = { rollout_id: rolloutId, step, verdict, applied, figures: JSON.stringify(judgement) };
  await changeRows(db, statements.insertInto('tandem.rollout_checks').values(check));
  const firstBeyond = checksOf(rolloutId).select('seq').offset(MAX_CHECKS).limit(1);
  const checks = statements.deleteFrom('tandem.rollout_checks').where('rollout_id', '=', rolloutId);
  await changeRows(db, checks.where('seq', '<=', firstBeyond));
}

interface KeptCheck extends RolloutCheck {
  readonly at: Date;
}

/** Returns the checks, newest first. */
export async function listChecks(db: Db, rolloutId: string, limit: number): Promise<readonly KeptCheck[]> {
  const checks = checksOf(rolloutId)
    .select(['at', 'step', 'verdict', 'applied', 'figures as judgement'])
    .$narrowType<{ judgement: Judgement }>();
  return fetchRows(db, checks.limit(limit));
}

function checksOf(rolloutId: string) {
  return statements.selectFrom('tandem.rollout_checks').where('rollout_id', '=', rolloutId).orderBy('seq', 'desc');
}
