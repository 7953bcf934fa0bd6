/**
 * Publishes a run's generation when all its chunks are committed (B9). Checks it, compares it with the current
 * generation, and publishes it, or holds it back if it exceeds the predictor's thresholds. The run of a generation that
 * is held back has failed. The generation is kept for a day, to be approved (`approveGeneration`) or compared again by
 * resuming the run.
 *
 * One worker does this at a time, under the lease of the step. It indexes and compares without a lock on the run, and
 * publishes in a short transaction that the fence guards.
 *
 * A failover or restore brings a run into another history, where it first restarts (restart-run.ts). After a restore
 * that was detected late, its last chunks may have labels of the lost past, and entries of a partial run no longer
 * count. The publishing transaction first rules out an undetected restore. After such a restore workers would commit
 * the chunks a second time, while Redis holds the first rows under the same id.
 */

import type { LossNotice } from '@tandem/prediction/events/notice-loss';
import { crossingText } from '@tandem/prediction/reports/generation-report';
import type { PublishOutcome } from '@tandem/prediction/runs/run-store';
import { type ClaimedStep, HELD_BACK, NO_ROWS, type Run } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { type Arm, findArmOfVersion, moveArm, nextUse } from '../arms/arms.ts';
import { cancellable } from '../features/cancellable.ts';
import type { Pools } from '../features/feature-session.ts';
import { carryRows } from '../generations/carried-rows.ts';
import { clearErased } from '../generations/erased-predictions.ts';
import { keepReport } from '../generations/generation-reports.ts';
import { type ComparedGeneration, compareWithServed } from '../generations/generation-reports-compare.ts';
import { findGeneration } from '../generations/generation-rows.ts';
import { insertAudit } from '../sql/audit.ts';
import { type Db, query, queryOne, sqlState, transaction } from '../sql/database.ts';
import { assertPastProven, keepHistory } from '../sql/history-marks.ts';
import { indexPartition } from '../sql/partition.ts';
import { lockAssignments } from '../sql/settings.ts';
import { changeRows, fetchFirst, statements } from '../sql/statements.ts';
import { restartRun } from './restart-run.ts';
import { requireRun, setRunState } from './run-rows.ts';
import { lockStep } from './run-steps.ts';

const INDEX_TIMEOUT_MS = 1_800_000;

/**
 * Publishes a run. Returns null while chunks are open, including those of a run that this call restarts, or if the
 * fence is lost.
 */
export async function publishRun(
  pools: Pools,
  claimed: ClaimedStep,
  lost: AbortSignal,
  prove: LossNotice['prove'],
): Promise<PublishOutcome | null> {
  const { pool } = pools;
  const run = await requireRun(pool, claimed.runId);
  const chunks = await countChunks(pool, run.id);
  if (chunks.open > 0) return null;
  const outcome =
    run.history === chunks.history ? await checkAndConclude(pools, { run, claimed, lost, prove }, chunks) : 'moved';
  if (outcome !== 'moved') {
    if (outcome && outcome.state !== 'failed') await forgetNames(pool, run.id);
    return outcome;
  }
  await restartRun(pool, run.id);
  return null;
}

interface Publication {
  readonly run: Run;
  readonly claimed: ClaimedStep;
  readonly lost: AbortSignal;
  readonly prove: LossNotice['prove'];
}

async function checkAndConclude(
  pools: Pools,
  { run, claimed, lost, prove }: Publication,
  chunks: ChunkCounts,
): Promise<PublishOutcome | null | 'moved'> {
  const { pool } = pools;
  const flaw = (await findFlaw(pool, run, chunks)) ?? (await indexGeneration(pool, run, lost));
  const compared = flaw === null ? await compareWithServed(pools, run, lost) : null;
  const publishesGeneration = run.generationId !== null && flaw === null && compared?.verdict !== 'blocked';
  if (run.generationId !== null && flaw === null) {
    await carryRows(pool, run, lost);
    await clearErased(pool, run.generationId, lost);
  }
  return transaction(pool, async (db) => {
    // The proof comes before any lock, since it waits for Redis. Partial runs need none, since their entries are
    // labelled with their history.
    if (publishesGeneration) await assertPastProven(pool, db, prove);
    // The settings are locked before the run: the lock order of every change of an arm.
    await lockAssignments(db);
    if (!(await lockStep(db, claimed))) return null;
    await keepHistory(db);
    const current = await requireRun(db, run.id);
    const { open, history } = await countChunks(db, run.id);
    if (open > 0) return null;
    // The run was brought into another history since the check, or must be.
    if (current.history !== run.history || current.history !== history) return 'moved';
    if (flaw !== null) return fail(db, current, flaw);
    return compared?.verdict === 'blocked' ? holdBack(db, current, compared) : conclude(db, current, compared);
  });
}

interface ChunkCounts {
  /** The database's current history. */
  readonly history: string;
  readonly open: number;
  readonly failed: number | null;
  readonly error: string | null;
}

/** Returns how many chunks are open, and the number of the first failed chunk with its error. */
function countChunks(db: Db, runId: string): Promise<ChunkCounts> {
  return queryOne<ChunkCounts>(db, {
    text: `select tandem.current_history() as history, count(*) filter (where state in ('waiting', 'claimed')) as open,
        min(no) filter (where state = 'failed') as failed,
        (array_agg(error order by no) filter (where state = 'failed'))[1] as error
      from tandem.chunks where run_id = $1`,
    values: [runId],
  });
}

/** Returns why a run's predictions must not be published, or null. */
async function findFlaw(db: Db, run: Run, { failed, error }: ChunkCounts): Promise<string | null> {
  if (failed !== null) return `chunk ${failed} failed: ${error ?? 'unknown'}`;
  // A partial run has no generation, nor has a run with a budget that found no user to score.
  if (run.generationId === null) return null;
  // Chunks that a release before migration 0053 committed did not count omitted erased users. There may be as many as
  // were ever erased, since the plan expected them, too.
  const rows = await query<{ minCoverage: number; uncounted: number; isOfSome: boolean }>(db, {
    text: `select (policy -> 'batch' ->> 'minCoverage')::float8 as "minCoverage",
        case when exists (select from tandem.chunks c where c.run_id = r.id and c.state = 'committed' and c.erased is null)
          then (select count(*)::int from tandem.erasures) else 0 end as uncounted,
        exists (select from tandem.generations g where g.run_id = r.id and g.base_id is not null) as "isOfSome"
      from tandem.runs r join tandem.predictors p on p.name = r.predictor where r.id = $1`,
    values: [run.id],
  });
  const { minCoverage = 0, uncounted = 0, isOfSome = false } = rows[0] ?? {};
  const users = Math.max(run.usersExpected, run.usersScored + run.usersFailed);
  // If there is a base, all chosen users left the feature source or were erased. Rows of the previous run are still
  // carried over.
  if (users === 0) return isOfSome ? null : NO_ROWS;
  if (run.usersScored >= Math.max(0, users - uncounted) * minCoverage) return null;
  return `only ${run.usersScored} of ${users} users were scored (${percent(run.usersScored / users)}); the predictor requires ${percent(minCoverage)}`;
}

function percent(share: number): string {
  return `${Math.floor(share * 1_000) / 10} %`;
}

/**
 * Builds the index, since reads of the generation must be cheap before the pointer moves. Returns the problem that it
 * finds, or null.
 */
async function indexGeneration(pool: pg.Pool, { generationId }: Run, lost: AbortSignal): Promise<string | null> {
  if (generationId === null) return null;
  const options = { timeoutMs: INDEX_TIMEOUT_MS, signal: lost };
  return cancellable(pool, options, async (db) => {
    await indexPartition(db, generationId, INDEX_TIMEOUT_MS);
    return null;
  }).catch((error: unknown) => {
    if (sqlState(error) === '23505') return 'a user was predicted twice; give the feature query one row a user';
    throw error;
  });
}

async function fail(db: Db, run: Run, note: string): Promise<PublishOutcome> {
  await setRunState(db, run.id, 'failed', note);
  return { state: 'failed', note, generation: null, report: null };
}

/** Holds a generation back. Retention drops it a day after the end of its run. */
async function holdBack(db: Db, run: Run, compared: ComparedGeneration): Promise<PublishOutcome> {
  const { predictor, generationNumber: number, generationId } = run;
  const why = compared.crossings.map(crossingText).join(', ') || compared.notes.join(', ');
  const note = `${HELD_BACK}${why}; see \`tandem generation report ${predictor} ${number}\`; publish it with \`tandem generation approve ${predictor} ${number}\` within 24 h, or compare it again with \`tandem run resume ${run.id}\``;
  if (generationId !== null) await keepReport(db, generationId, compared);
  const detail = { run: run.id, generation: number, against: compared.against?.number, crossings: compared.crossings };
  await insertAudit(db, { actor: run.reason, action: 'hold_back', predictor, detail });
  return { ...(await fail(db, run, note)), report: compared };
}

/**
 * Publishes the run's generation and makes it current, unless another change came in between.
 * @param compared the report to keep; null: the existing report stays
 */
export async function conclude(db: Db, run: Run, compared: ComparedGeneration | null): Promise<PublishOutcome> {
  const state = run.usersFailed > 0 ? 'done_with_errors' : 'done';
  if (run.generationId === null) {
    const none = 'no user was scored: no reads are counted, and no user has changed';
    const note = await withNote(db, run, run.scope === 'all' ? none : await noteOfErased(db, run));
    await setRunState(db, run.id, state, note);
    return { state, note, generation: null, report: null };
  }
  // Clears the few users erased since the last page. Every tombstone raises the count in the settings, which are locked
  // (lockAssignments): an erasure is visible here, or its later deletes find the generation published.
  await clearErased(db, run.generationId);
  await query(db, {
    text: `update tandem.generations set state = 'published', published_at = clock_timestamp(), users = $2 + carried_users - erased_users,
        last_use = ${nextUse('$3')} where id = $1`,
    values: [run.generationId, run.usersScored, run.predictor],
  });
  if (compared) await keepReport(db, run.generationId, compared);
  const arm = await findArmOfVersion(db, run.predictor, run.modelVersionId);
  const reason = whyNotInForce(run, arm);
  const note = reason && `generation ${run.generationNumber} was published but not made current: ${reason}`;
  if (note === null) {
    await moveArm(db, run.predictor, {
      modelVersionId: run.modelVersionId,
      generationId: run.generationId,
      raiseFloor: false,
      restartExpiry: false,
      ...(arm ? { arm: arm.name } : {}),
    });
  }
  await insertAudit(db, {
    actor: run.reason,
    action: 'publish',
    predictor: run.predictor,
    detail: { run: run.id, generation: run.generationNumber, users: run.usersScored, inForce: note === null, note },
  });
  const told = await withNote(db, run, note);
  await setRunState(db, run.id, state, told);
  const generation = note === null ? ((await findGeneration(db, run.generationId)) ?? null) : null;
  return { state, note: told, generation, report: compared };
}

/** Returns the note of a run of named users if some of them are erased; otherwise null. */
async function noteOfErased(db: Db, { id, scope }: Run): Promise<string | null> {
  if (scope !== 'users') return null;
  const text = 'select coalesce(sum(erased), 0)::int as erased from tandem.chunks where run_id = $1';
  const erased = (await query<{ erased: number }>(db, { text, values: [id] }))[0]?.erased ?? 0;
  if (erased === 0) return null;
  return `erased users are not scored: ${erased} of the named users; to score such a user, run \`tandem user readmit\` first`;
}

/** Returns the note of a run: its end, and the notes of its creation and plan. */
async function withNote(db: Db, { id }: Run, ending: string | null): Promise<string | null> {
  const noted = await fetchFirst(db, statements.selectFrom('tandem.runs').select('note').where('id', '=', id));
  return [ending, noted?.note ?? null].filter((text) => text !== null).join('; ') || null;
}

/**
 * Deletes the user names of chunks that can no longer be claimed: a finished run is never resumed. It runs after the
 * commit, since a million names take a while. If it fails, the names stay as long as the run. The names of other runs
 * expire (retention.ts).
 */
export async function forgetNames(pool: pg.Pool, runId: string): Promise<void> {
  const named = statements.updateTable('tandem.chunks').set({ user_ids: [] }).where('run_id', '=', runId);
  await changeRows(pool, named.where('user_ids', 'is not', null)).catch(() => undefined);
}

/**
 * Returns why a generation may not become current, or null. The pointer only moves forward, within the stable model
 * version. A run that was requested before a rollback must not undo the rollback.
 */
export function whyNotInForce(
  run: Pick<Run, 'modelNumber' | 'overlayFloor' | 'generationNumber'>,
  arm: Pick<Arm, 'overlayFloor' | 'generationNumber'> | undefined,
): string | null {
  if (!arm) {
    return `model version ${run.modelNumber} is no longer served`;
  }
  if (arm.overlayFloor !== run.overlayFloor) {
    return 'the predictor was rolled back after the run was requested';
  }
  if (arm.generationNumber !== null && arm.generationNumber > (run.generationNumber ?? 0)) {
    return `the newer generation ${arm.generationNumber} is current`;
  }
  return null;
}
