/** Batch runs. */
import { z } from 'zod';
import { nextOf } from './page.ts';
import type { Answered } from './schema.ts';

const MAX_RUN_USERS = 10_000;

const UsersScopeSchema = z.strictObject({
  userIds: z
    .array(z.string())
    .min(1)
    .max(MAX_RUN_USERS)
    .meta({ example: ['42', '43'] }),
});

export const StartRunSchema = z
  .strictObject({
    predictor: z.string('the name of a predictor').meta({ example: 'repurchase' }),
    scope: z.union([z.literal('all'), z.literal('stale'), UsersScopeSchema], {
      error: `"all", "stale" or { "userIds": […] } with 1 to ${MAX_RUN_USERS} ids`,
    }),
    variant: z.string().max(63).optional().meta({
      description: 'The arm whose model version scores: the stable one, or one of a rollout',
      example: 'stable',
    }),
  })
  .meta({ id: 'StartRun', example: { predictor: 'repurchase', scope: 'stale' } });

export type StartRunBody = z.output<typeof StartRunSchema>;

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
    scheduledFor: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'The moment of its schedule; null: somebody asked for it' }),
    createdAt: z.iso.datetime(),
    startedAt: z.iso.datetime().nullable(),
    finishedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Run' });

export type RunView = Answered<typeof RunSchema>;

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

export const RunPageSchema = z
  .strictObject({
    runs: z.array(RunSchema),
    next: nextOf(z.uuid()),
  })
  .meta({ id: 'ListRunsAnswer' });

export const RunDetailSchema = z
  .strictObject({
    // Not `extend`: described as all of a Run, which allows no more fields, and of this, nothing would fit it.
    ...RunSchema.shape,
    failures: z.array(z.strictObject({ userId: z.string(), reason: z.string() }).meta({ id: 'FailedUser' })),
  })
  .meta({ id: 'ShowRunAnswer' });
