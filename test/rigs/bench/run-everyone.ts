/** Runs all users of a predictor with 200 trees. Each run is started through the API, as an operator would start it. */

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

/** The parts of a worker in this process. Benchmarks use them to observe runs and to time single steps. */
export type WorkerParts = BuiltDependencies;

export function openWorkerParts({ env }: BenchServers): Promise<WorkerParts> {
  return createDependencies(readEnvironment(env, { database, redis, inference, worker, workerProcess }), silentLog);
}

/** The number of customers that the model is trained on. */
const LEARNT_FROM = 2_000;
let made: Buffer | null = null;

/**
 * Makes the model of the batch figures: 200 boosted trees of depth 5 over 12 features. It costs as much as a model
 * trained on real customers, about 3 µs per user on an idle core. Each call returns the same bytes.
 */
export function boostedTrees(): Buffer {
  made ??= treeModel({ width: FEATURES.length, trees: 200, depth: 5, users: LEARNT_FROM, random: sameNumbers() });
  return made;
}

/** Creates a linear congruential generator (Numerical Recipes), which gives the same numbers each time. */
function sameNumbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Adopts a predictor with that model and this number of users. */
export function adoptTrees(servers: BenchServers, name: string, users: number): Promise<void> {
  return adoptPredictor(servers, { name, artifact: boostedTrees(), users });
}

/** The time of a run by phase, in seconds. */
export interface RunPhases {
  /** From the request until the chunks were known. */
  readonly plan: number;
  /** From the plan until the last chunk was committed. */
  readonly chunks: number;
  /** Index, comparison and publication of the generation. */
  readonly publish: number;
  /** From the publication until Redis held the whole generation. */
  readonly load: number;
}

export interface RunTimes {
  readonly run: Run;
  readonly phases: RunPhases;
  /** From the request until the generation was published, in seconds. Later reads are answered from this generation. */
  readonly publishedSeconds: number;
  /** From the request until Redis held the whole generation, in seconds. */
  readonly loadedSeconds: number;
}

/**
 * The pause between looks, as a share of the time so far. A look takes CPU from the run, and is late by one pause at
 * most.
 */
const LOOK_EVERY = 0.002;
const LEAST_LOOK_MS = 25;
/** The time after which a run counts as stopped. 30,000,000 users need about ten minutes. */
const GIVE_UP_AFTER_MS = 3_600_000;

/**
 * Runs the predictor once and times it. Rejects if the run does not end as `done`.
 * @param budget the share of the users that is scored; default: all
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

/** Polls a run until `isAsWanted` accepts it. Rejects if the run ends before that or makes no progress for an hour. */
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
