/** Runs over everybody of a predictor with 200 trees, asked for through the API as an operator would. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@tandem/client/create-client';
import { readEnvironment } from '@tandem/config/environment/environment';
import { database, inference, redis, worker } from '@tandem/config/environment/environment-sections';
import type { Run } from '@tandem/prediction/runs/runs';
import { isFinished } from '@tandem/prediction/runs/runs';
import { silentLog } from '@tandem/telemetry/log';
import { treeModel } from '@tandem/testing/tree-model';
import { type BuiltDependencies, createDependencies } from '../../../apps/worker/dependencies.ts';
import { workerProcess } from '../../../apps/worker/worker-section.ts';
import { adoptPredictor, FEATURES } from './predictors.ts';
import type { BenchServers } from './service.ts';

/** What a worker is made of, in this process: to look at runs, and to time its steps one by one. */
export type WorkerParts = BuiltDependencies;

export function openWorkerParts({ env }: BenchServers): Promise<WorkerParts> {
  return createDependencies(readEnvironment(env, { database, redis, inference, worker, workerProcess }), silentLog);
}

/** Customers that the model is made from. */
const LEARNT_FROM = 2_000;
let made: Buffer | null = null;

/**
 * The model of the batch figures: 200 boosted trees of depth 5 over 12 features, which cost as much as trained ones of real
 * customers do (some 3 µs a user on a core that has nothing else to do). The same bytes each time.
 */
export function boostedTrees(): Buffer {
  made ??= treeModel({ width: FEATURES.length, trees: 200, depth: 5, users: LEARNT_FROM, random: sameNumbers() });
  return made;
}

/** A linear congruential generator (Numerical Recipes): any numbers will do, as long as they are the same each time. */
function sameNumbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A predictor with that model over so many users. */
export function adoptTrees(servers: BenchServers, name: string, users: number): Promise<void> {
  return adoptPredictor(servers, { name, artifact: boostedTrees(), users });
}

/** Where the time of a run went, in seconds. */
export interface RunPhases {
  /** From the request until the chunks were known. */
  readonly plan: number;
  /** From then until the last chunk was committed. */
  readonly chunks: number;
  /** Index, comparison and publication. */
  readonly publish: number;
  /** From then until Redis held all of it. */
  readonly load: number;
}

export interface RunTimes {
  readonly run: Run;
  readonly phases: RunPhases;
  /** From the request until it was published, in seconds: from then on reads are answered from it. */
  readonly publishedSeconds: number;
  /** From the request until Redis held all of it as well. */
  readonly loadedSeconds: number;
}

/** Of the time so far: looking takes CPU that the run would have, and a look may be late by as much. */
const LOOK_EVERY = 0.002;
const LEAST_LOOK_MS = 25;
/** A run that takes longer than this has stopped: 30,000,000 users need some ten minutes. */
const GIVE_UP_AFTER_MS = 3_600_000;

/**
 * Rejects where the run does not end as `done`.
 * @param budget the share of the users that is scored; left out: all
 */
export async function runEveryone(
  { pool }: BenchServers,
  tandem: Client,
  parts: WorkerParts,
  predictor: string,
  budget?: { readonly share: number },
): Promise<RunTimes> {
  const startedAt = performance.now();
  const { id } = await tandem.runs.start({ predictor, scope: 'all', ...(budget ? { budget } : {}) });
  const run = await waitForRun(parts, id, (one) => isFinished(one.state));
  const publishedSeconds = (performance.now() - startedAt) / 1000;
  const generation = run.generationId === null ? undefined : await parts.generations.find(run.generationId);
  if (run.state !== 'done' || !generation)
    throw new Error(`the run of ${predictor} ended as ${run.state}: ${run.error}`);
  while (!(await parts.loader.isLoaded(generation))) await pause(startedAt, `the loading of run ${id}`);
  const loadedSeconds = (performance.now() - startedAt) / 1000;
  const phases = { ...(await phasesOf(pool, id)), load: loadedSeconds - publishedSeconds };
  return { run, phases, publishedSeconds, loadedSeconds };
}

async function phasesOf(pool: BenchServers['pool'], runId: string): Promise<Omit<RunPhases, 'load'>> {
  const { rows } = await pool.query<Omit<RunPhases, 'load'>>(
    `select extract(epoch from r.started_at - r.created_at)::float8 as plan,
       extract(epoch from c.committed_at - r.started_at)::float8 as chunks,
       extract(epoch from r.finished_at - c.committed_at)::float8 as publish
     from tandem.runs r, (select max(committed_at) as committed_at from tandem.chunks where run_id = $1) c where r.id = $1`,
    [runId],
  );
  if (!rows[0]) throw new Error(`there is no run ${runId}`);
  return rows[0];
}

/** Looks at a run until it is as wanted; rejects where that does not come. */
export async function waitForRun(parts: WorkerParts, id: string, isAsWanted: (run: Run) => boolean): Promise<Run> {
  const startedAt = performance.now();
  for (;;) {
    const run = await parts.runs.find(id);
    if (!run) throw new Error(`there is no run ${id}`);
    if (isAsWanted(run)) return run;
    if (isFinished(run.state)) throw new Error(`run ${id} ended as ${run.state} too early: ${run.error}`);
    await pause(startedAt, `run ${id}`);
  }
}

async function pause(startedAt: number, what: string): Promise<void> {
  const passed = performance.now() - startedAt;
  if (passed > GIVE_UP_AFTER_MS) throw new Error(`${what} is not done after an hour`);
  await sleep(Math.max(LEAST_LOOK_MS, LOOK_EVERY * passed));
}
