/** Publishes a generation that was held back, and makes it current, like its run would have done. */
import { TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { LossNotice } from '@tandem/prediction/events/notice-loss';
import type { Generation } from '@tandem/prediction/runs/generations';
import type { Approval } from '@tandem/prediction/runs/run-store';
import type pg from 'pg';
import { findArmOfVersion } from '../arms/arms.ts';
import { clearErased } from '../generations/erased-predictions.ts';
import { noGeneration } from '../generations/generation-reports.ts';
import { findGeneration } from '../generations/generation-rows.ts';
import { insertAudit } from '../sql/audit.ts';
import { type Db, transaction } from '../sql/database.ts';
import { assertPastProven, keepHistory } from '../sql/history-marks.ts';
import { lockAssignments } from '../sql/settings.ts';
import { currentHistory, fetchFirst, fetchRows, statements } from '../sql/statements.ts';
import { conclude, forgetNames, whyNotInForce } from './publish.ts';
import { lockRun } from './run-rows.ts';

/**
 * Approves a generation. Repeating it has no effect. Rejects with `unknown_generation`, or with `run_conflict` if the
 * generation may not become current.
 */
export async function approveGeneration(
  pool: pg.Pool,
  approval: Approval,
  prove: LossNotice['prove'],
): Promise<Generation> {
  const { id, runId, state, verdict } = await findHeld(pool, approval);
  if (verdict === 'blocked' && state === 'building') await clearErased(pool, id);
  const approved = await transaction(pool, async (db) => {
    await assertPastProven(pool, db, prove);
    // The settings are locked before the run, as in a publication.
    await lockAssignments(db);
    await keepHistory(db);
    const held = await findHeld(db, approval);
    const run = await lockRun(db, held.runId);
    const known = await findGeneration(db, held.id);
    if (known?.inForce) return known;
    const conflict =
      held.verdict !== 'blocked' || known?.state !== 'building' || run.state !== 'failed'
        ? `it is not held back: ${known?.state === 'building' ? `its run is ${run.state}` : `it is ${known?.state ?? 'deleted'}`}`
        : whyRefused(run.history !== held.history, run, await findArmOfVersion(db, run.predictor, run.modelVersionId));
    if (conflict !== null) throw refused(approval, conflict);
    const { predictor, actor } = approval;
    const detail = { run: run.id, generation: approval.generation, why: run.error };
    await insertAudit(db, { actor, action: 'approve', predictor, detail });
    const { generation } = await conclude(db, run, null);
    if (generation) return generation;
    throw new Error(`generation ${approval.generation} of ${predictor} was approved but did not become current`);
  });
  await forgetNames(pool, runId);
  return approved;
}

/** Returns the generations of a predictor that are held back, by number, each with why it cannot be approved, or null. */
export async function listHeld(db: Db, predictor: string): Promise<ReadonlyMap<number, string | null>> {
  const held = withReports(predictor)
    .innerJoin('tandem.runs as run', 'run.id', 'g.run_id')
    .innerJoin('tandem.model_versions as v', 'v.id', 'run.model_version_id')
    .leftJoin('tandem.arms as a', (join) =>
      join.onRef('a.predictor', '=', 'g.predictor').onRef('a.model_version_id', '=', 'v.id'),
    )
    .leftJoin('tandem.generations as current', 'current.id', 'a.generation_id')
    .select(['run.history as runHistory', 'run.overlay_floor as runFloor', 'v.number as modelNumber'])
    .select(['a.overlay_floor as armFloor', 'current.number as currentNumber'])
    .where(({ and }) => and({ 'g.state': 'building', 'r.verdict': 'blocked', 'run.state': 'failed' }));
  const rows = await fetchRows(db, held);
  return new Map(
    rows.map(({ number, history, runHistory, runFloor, modelNumber, armFloor, currentNumber }) => {
      const run = { overlayFloor: runFloor, modelNumber, generationNumber: number };
      const arm = armFloor === null ? undefined : { overlayFloor: armFloor, generationNumber: currentNumber };
      return [number, whyRefused(runHistory !== history, run, arm)];
    }),
  );
}

function whyRefused(isRestored: boolean, ...published: Parameters<typeof whyNotInForce>): string | null {
  return isRestored ? 'the database was restored since' : whyNotInForce(...published);
}

/** Returns a query of the generations of a predictor, each with its verdict and the database's current history. */
function withReports(predictor: string) {
  return statements
    .selectFrom('tandem.generations as g')
    .leftJoin('tandem.generation_reports as r', 'r.generation_id', 'g.id')
    .select(['g.id', 'g.number', 'g.run_id as runId', 'g.state', 'r.verdict', currentHistory().as('history')])
    .where('g.predictor', '=', predictor);
}

async function findHeld(db: Db, { predictor, generation }: Approval) {
  const found = await fetchFirst(db, withReports(predictor).where('g.number', '=', generation));
  if (found) return found;
  const known = statements.selectFrom('tandem.predictors').where('name', '=', predictor);
  if (!(await fetchFirst(db, known))) throw unknownPredictor(predictor);
  throw noGeneration(predictor, generation);
}

function refused({ predictor, generation }: Approval, why: string): TandemError {
  return new TandemError('run_conflict', `Generation ${generation} of ${predictor} cannot be published: ${why}.`, {
    field: 'generation',
    remedy: 'start another run (tandem run start); tandem generation list shows the current generation',
  });
}
