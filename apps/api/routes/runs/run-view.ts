/** A run as the wire has it. */
import { z } from '@hono/zod-openapi';
import { unknownRun } from '@tandem/freshness/errors';
import type { RunStore } from '@tandem/prediction/runs/run-store';
import type { Run } from '@tandem/prediction/runs/runs';

export const RunSchema = z
  .strictObject({
    id: z.uuid(),
    predictor: z.string(),
    scope: z.enum(['all', 'stale', 'users']),
    state: z.enum(['planned', 'running', 'publishing', 'done', 'done_with_errors', 'failed', 'cancelled']).meta({
      description:
        '`planned`: a worker still has to divide the users into chunks, or does so now; `running`: chunks are scored; `publishing`: checks of the new generation',
    }),
    reason: z.string().meta({ description: 'Who asked: `api`, `cli`, `schedule`' }),
    error: z.string().nullable().meta({ description: 'Why the run failed, or what to know of its publication' }),
    attempts: z.int().meta({
      description:
        'Attempts at the current step, planning or publishing; at the last step if the run has ended. After an outage of the database a step is tried up to 40 times',
    }),
    attemptError: z.string().nullable().meta({ description: 'Why the last attempt at that step failed' }),
    modelVersion: z.string(),
    generation: z.string().nullable().meta({ description: 'Of scope `all`: the generation that it makes' }),
    usersExpected: z.int(),
    usersScored: z.int(),
    usersFailed: z.int(),
    chunkCount: z.int(),
    chunksCommitted: z.int(),
    scheduledFor: z.iso.datetime().nullable(),
    createdAt: z.iso.datetime(),
    startedAt: z.iso.datetime().nullable(),
    finishedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Run' });

export type RunView = z.output<typeof RunSchema>;

export const RUN_EXAMPLE: RunView = {
  id: '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2b11',
  predictor: 'repurchase',
  scope: 'all',
  state: 'running',
  reason: 'api',
  error: null,
  attempts: 0,
  attemptError: null,
  modelVersion: '2',
  generation: '17',
  usersExpected: 2357,
  usersScored: 1000,
  usersFailed: 0,
  chunkCount: 5,
  chunksCommitted: 2,
  scheduledFor: null,
  createdAt: '2026-11-24T02:00:00.000Z',
  startedAt: '2026-11-24T02:00:00.120Z',
  finishedAt: null,
};

export function runView(run: Run): RunView {
  const { id, predictor, scope, state, reason, error, attempts, attemptError } = run;
  const { usersExpected, usersScored, usersFailed, chunkCount, chunksCommitted } = run;
  return {
    id,
    predictor,
    scope,
    state,
    reason,
    error,
    attempts,
    attemptError,
    modelVersion: String(run.modelNumber),
    generation: run.generationNumber === null ? null : String(run.generationNumber),
    usersExpected,
    usersScored,
    usersFailed,
    chunkCount,
    chunksCommitted,
    scheduledFor: run.scheduleSlot?.toISOString() ?? null,
    createdAt: run.createdAt.toISOString(),
    startedAt: run.startedAt?.toISOString() ?? null,
    finishedAt: run.finishedAt?.toISOString() ?? null,
  };
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether a text can be the id of a run at all; Postgres would refuse any other with an error of its own. */
export function isRunId(id: string): boolean {
  return UUID.test(id);
}

/** Rejects with `unknown_run`. */
export async function requireRun(runs: Pick<RunStore, 'find'>, id: string): Promise<Run> {
  const run = isRunId(id) ? await runs.find(id) : undefined;
  if (!run) throw unknownRun(id);
  return run;
}
