/** A generation that was held back is published and put in force after all, as its run would have done. */
import { TandemError } from '@tandem/freshness/errors';
import { unknownPredictor } from '@tandem/freshness/read-errors';
import type { LossNotice } from '@tandem/prediction/events/notice-loss';
import type { Generation } from '@tandem/prediction/runs/generations';
import type { Approval } from '@tandem/prediction/runs/report-store';
import type pg from 'pg';
import { findGeneration } from '../generations/generation-rows.ts';
import { findArmOfVersion } from '../rollouts/arms.ts';
import { insertAudit } from '../sql/audit.ts';
import { type Db, query, transaction } from '../sql/database.ts';
import { assertPastProven } from '../sql/history-marks.ts';
import { lockAssignments } from '../sql/settings.ts';
import { conclude, whyNotInForce } from './publish.ts';
import { lockRun } from './run-rows.ts';

/** Again it changes nothing. Rejects with `unknown_generation`, or `run_conflict` where it may not be put in force. */
export function approveGeneration(pool: pg.Pool, approval: Approval, prove: LossNotice['prove']): Promise<Generation> {
  return transaction(pool, async (db) => {
    await assertPastProven(pool, db, prove);
    // The settings before the run, as a publication locks them.
    await lockAssignments(db);
    const held = await findHeld(db, approval);
    const run = await lockRun(db, held.runId);
    const known = await findGeneration(db, held.id);
    if (known?.inForce) return known;
    const conflict =
      held.verdict !== 'blocked' || known?.state !== 'building' || run.state !== 'failed'
        ? `it is not held back: ${known?.state === 'building' ? `its run is ${run.state}` : `it is ${known?.state ?? 'gone'}`}`
        : run.history !== held.history
          ? 'the database was set back since'
          : whyNotInForce(run, await findArmOfVersion(db, run.predictor, run.modelVersionId));
    if (conflict !== null) throw refused(approval, conflict);
    const { predictor, actor } = approval;
    const detail = { run: run.id, generation: approval.generation, why: run.error };
    await insertAudit(db, { actor, action: 'approve', predictor, detail });
    const { generation } = await conclude(db, run, null);
    if (generation) return generation;
    throw new Error(`generation ${approval.generation} of ${predictor} was approved of and is not in force`);
  });
}

interface Held extends Record<string, unknown> {
  readonly id: string;
  readonly runId: string;
  readonly verdict: string | null;
  /** That of the database, now. */
  readonly history: string;
}

async function findHeld(db: Db, { predictor, generation }: Approval): Promise<Held> {
  const rows = await query<Held & { isKnown: boolean }>(db, {
    text: `select g.id, g.run_id as "runId", r.verdict, tandem.current_history() as history
      from tandem.generations g left join tandem.generation_reports r on r.generation_id = g.id
      where g.predictor = $1 and g.number = $2`,
    values: [predictor, generation],
  });
  if (rows[0]) return rows[0];
  const known = await query(db, { text: 'select from tandem.predictors where name = $1', values: [predictor] });
  if (known.length === 0) throw unknownPredictor(predictor);
  throw new TandemError('unknown_generation', `${predictor} has no generation ${generation}.`, {
    field: 'generation',
    remedy: 'tandem generation list, or GET /v1/predictors/{predictor}/generations, lists them',
  });
}

function refused({ predictor, generation }: Approval, why: string): TandemError {
  return new TandemError('run_conflict', `Generation ${generation} of ${predictor} cannot be put in force: ${why}.`, {
    field: 'generation',
    remedy: 'tandem generation list shows what is in force; tandem run start makes another generation',
  });
}
