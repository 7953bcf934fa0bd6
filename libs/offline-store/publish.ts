/**
 * B9: once all chunks of a run are committed, checks what it made, compares it with what is served and puts it in force, or
 * holds it back where the predictor's thresholds say so: then the run has failed, and its generation is kept for a day, to be
 * approved of (approve-generation.ts), or compared again by resuming the run. Any number of workers may do so
 * at once, and a kill in between costs the next one's time. A run that a failover or restore brought into another history
 * begins again there first (restart-run.ts): after a restore that was noticed late, its last chunks may have been committed
 * with labels of the past that is lost, and entries of a partial run count for nothing any more.
 */
import { crossingText } from '@tandem/prediction/reports/generation-report';
import type { PublishOutcome } from '@tandem/prediction/runs/run-store';
import { isFinished, type Run } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { type Arm, findArmOfVersion, moveArm } from './arms.ts';
import { insertAudit } from './audit.ts';
import { type Db, limitStatements, query, sqlState, transaction } from './database.ts';
import { deleteFrom } from './erased-predictions.ts';
import { keepReport } from './generation-reports.ts';
import { type ComparedGeneration, compareWithServed } from './generation-reports-compare.ts';
import { findGeneration } from './generation-rows.ts';
import { indexPartition } from './partition.ts';
import { restartRun } from './restart-run.ts';
import { lockRun, requireRun, setRunState } from './run-rows.ts';
import { lockAssignments } from './settings.ts';

const INDEX_TIMEOUT_MS = 1_800_000;

/**
 * Null while chunks are open, also those of a run that begins again now.
 * @param features the pool of feature statements
 */
export async function publishRun(pool: pg.Pool, features: pg.Pool, runId: string): Promise<PublishOutcome | null> {
  const run = await requireRun(pool, runId);
  if (isFinished(run.state)) return outcomeOf(pool, run);
  const chunks = await countChunks(pool, runId);
  if (run.state === 'planned' || chunks.open > 0) return null;
  const outcome = run.history === chunks.history ? await checkAndConclude(pool, features, run, chunks) : 'moved';
  if (outcome !== 'moved') return outcome;
  await restartRun(pool, runId);
  return null;
}

async function checkAndConclude(
  pool: pg.Pool,
  features: pg.Pool,
  run: Run,
  chunks: ChunkCounts,
): Promise<PublishOutcome | null | 'moved'> {
  const flaw = (await findFlaw(pool, run, chunks)) ?? (await indexGeneration(pool, run));
  const compared = flaw === null ? await compareWithServed(pool, features, run) : null;
  return transaction(pool, async (db) => {
    // The settings before the run: the order of everyone who moves an arm.
    await lockAssignments(db);
    const locked = await lockRun(db, run.id);
    if (isFinished(locked.state)) return outcomeOf(db, locked);
    const { open, history } = await countChunks(db, run.id);
    if (open > 0) return null;
    // It was brought into another history since it was checked, or has to be.
    if (locked.history !== run.history || locked.history !== history) return 'moved';
    if (flaw !== null) return fail(db, locked, flaw);
    return compared?.verdict === 'blocked' ? holdBack(db, locked, compared) : conclude(db, locked, compared);
  });
}

interface ChunkCounts extends Record<string, unknown> {
  /** That of the database, now. */
  readonly history: string;
  readonly open: number;
  readonly failed: number | null;
  readonly error: string | null;
}

/** How many are open; of those that failed, the first and why. */
async function countChunks(db: Db, runId: string): Promise<ChunkCounts> {
  const rows = await query<ChunkCounts>(db, {
    text: `select tandem.current_history() as history, count(*) filter (where state in ('waiting', 'claimed')) as open,
        min(no) filter (where state = 'failed') as failed,
        (array_agg(error order by no) filter (where state = 'failed'))[1] as error
      from tandem.chunks where run_id = $1`,
    values: [runId],
  });
  if (!rows[0]) throw new Error(`the chunks of run ${runId} were not counted`);
  return rows[0];
}

/** Why a run's predictions must not be published, or null. */
async function findFlaw(db: Db, run: Run, { failed, error }: ChunkCounts): Promise<string | null> {
  if (failed !== null) return `chunk ${failed} failed: ${error ?? 'unknown'}`;
  if (run.scope !== 'all') return null;
  const users = Math.max(run.usersExpected, run.usersScored + run.usersFailed);
  if (users === 0) return 'the feature query has no rows';
  const rows = await query<{ minCoverage: number; erased: number }>(db, {
    text: `select (policy -> 'batch' ->> 'minCoverage')::float8 as "minCoverage",
        (select count(*)::int from tandem.erasures e where e.erased_at >= r.created_at) as erased
      from tandem.runs r join tandem.predictors p on p.name = r.predictor where r.id = $1`,
    values: [run.id],
  });
  const { minCoverage = 0, erased = 0 } = rows[0] ?? {};
  // Whoever was erased since the run was asked for is not to be scored.
  if (run.usersScored >= Math.max(0, users - erased) * minCoverage) return null;
  return `only ${run.usersScored} of ${users} users were scored (${percent(run.usersScored / users)}); the predictor demands ${percent(minCoverage)}`;
}

function percent(share: number): string {
  return `${Math.floor(share * 1_000) / 10} %`;
}

/** Before the pointer moves, reads of the generation must be cheap; gives the flaw that the index finds, or null. */
async function indexGeneration(pool: pg.Pool, { generationId }: Run): Promise<string | null> {
  if (generationId === null) return null;
  return transaction(pool, async (db) => {
    await limitStatements(db, INDEX_TIMEOUT_MS);
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

/** Not published: retention drops it a day after its run ended. */
async function holdBack(db: Db, run: Run, compared: ComparedGeneration): Promise<PublishOutcome> {
  const { predictor, generationNumber: number, generationId } = run;
  const why = compared.crossings.map(crossingText).join(', ');
  const note = `held back: ${why}; look at \`tandem generation report ${predictor} ${number}\`, put it in force with \`tandem generation approve ${predictor} ${number}\` within 24 h`;
  if (generationId !== null) await keepReport(db, generationId, compared);
  const detail = { run: run.id, generation: number, against: compared.against?.number, crossings: compared.crossings };
  await insertAudit(db, { actor: run.reason, action: 'hold_back', predictor, detail });
  return { ...(await fail(db, run, note)), report: compared };
}

/**
 * Publishes what the run made, and puts it in force unless something came between.
 * @param compared the report to keep; null: the one that is there stays
 */
export async function conclude(db: Db, run: Run, compared: ComparedGeneration | null): Promise<PublishOutcome> {
  const state = run.usersFailed > 0 ? 'done_with_errors' : 'done';
  if (run.generationId === null) {
    await setRunState(db, run.id, state, null);
    return { state, note: null, generation: null, report: null };
  }
  // Whoever was erased between a chunk's look for erased users and its commit. Every tombstone raises the count in the
  // settings, whose lock (lockAssignments) we hold: it is committed and seen here, or comes after us, and then its deletes
  // find the generation published.
  const erased = await deleteFrom(db, run.generationId, null);
  await query(db, {
    text: `update tandem.generations set state = 'published', published_at = clock_timestamp(), users = $2 where id = $1`,
    values: [run.generationId, run.usersScored - erased],
  });
  if (compared) await keepReport(db, run.generationId, compared);
  const arm = await findArmOfVersion(db, run.predictor, run.modelVersionId);
  const reason = whyNotInForce(run, arm);
  const note = reason && `generation ${run.generationNumber} was published but not put in force: ${reason}`;
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
  await setRunState(db, run.id, state, note);
  const generation = note === null ? ((await findGeneration(db, run.generationId)) ?? null) : null;
  return { state, note, generation, report: compared };
}

/**
 * The pointer only goes forward, within the model version that is served, and not past a rollback: what was asked for
 * before one must not undo it.
 */
export function whyNotInForce(run: Run, arm: Arm | undefined): string | null {
  if (!arm) {
    return `model version ${run.modelNumber} is not served any more`;
  }
  if (arm.overlayFloor !== run.overlayFloor) {
    return 'a rollback came after the run was asked for';
  }
  if (arm.generationNumber !== null && arm.generationNumber > (run.generationNumber ?? 0)) {
    return `the newer ${arm.generationNumber} is`;
  }
  return null;
}

/** What publishing gave, told again. */
async function outcomeOf(db: Db, run: Run): Promise<PublishOutcome> {
  const state = run.state === 'done' || run.state === 'done_with_errors' ? run.state : 'failed';
  const note = run.state === 'cancelled' ? 'the run was cancelled' : run.error;
  const generation = run.generationId === null ? undefined : await findGeneration(db, run.generationId);
  return { state, note, generation: generation?.inForce ? generation : null, report: null };
}
