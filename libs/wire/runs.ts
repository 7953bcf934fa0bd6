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

const SHARE = 'expected a number above 0, up to 1';
const MINUTES = 'expected a number above 0';

export const BudgetSchema = z
  .union(
    [
      z
        .strictObject({
          share: z.number().gt(0, SHARE).max(1, SHARE).meta({ description: 'Share of all users', example: 0.25 }),
        })
        .meta({ id: 'ShareBudget' }),
      z
        .strictObject({
          cpuMinutes: z.number().gt(0, MINUTES).meta({ description: 'CPU time of workers and inference', example: 30 }),
        })
        .meta({ id: 'CpuBudget' }),
    ],
    { error: 'expected { "share": a number above 0, up to 1 } or { "cpuMinutes": a number above 0 }' },
  )
  .meta({
    id: 'Budget',
    description:
      'Limit of the cost of a run. Users with an outdated prediction are scored first, in the order of their reads; then other users who are read',
  });

export const StartRunSchema = z
  .strictObject({
    predictor: z.string('expected the name of a predictor').meta({ example: 'repurchase' }),
    scope: z.union([z.literal('all'), z.literal('stale'), UsersScopeSchema], {
      error: `expected "all", "stale" or { "userIds": […] } with 1 to ${MAX_RUN_USERS} ids`,
    }),
    variant: z.string().max(63).optional().meta({
      description: 'The arm whose model version scores the users: `stable`, or an arm of a rollout',
      example: 'stable',
    }),
    budget: BudgetSchema.optional().meta({
      description: 'Scope `all` only: users beyond the budget keep their predictions',
    }),
  })
  .meta({ id: 'StartRun', example: { predictor: 'repurchase', scope: 'stale' } });

export type StartRunBody = z.output<typeof StartRunSchema>;

const BudgetEstimateSchema = z
  .strictObject({
    share: z.number().meta({ description: 'Share of all users' }),
    users: z.int().meta({ description: 'The most users that this budget scores' }),
    reads: z.number().nullable().meta({
      description:
        'Expected share of the next day’s reads that go to the `users` most read users, over all predictors; null if too few reads are counted, see the guide to schedules',
    }),
    readsInterval: z
      .union([z.strictObject({ low: z.number(), high: z.number() }), z.null()])
      .meta({ description: '95 % interval of `reads`; null if `reads` is' }),
    readers: z.number().nullable().meta({
      description:
        'Share of the `users` most read users in all users read on the next day, without an interval; null if `reads` is',
    }),
    cpuMinutes: z
      .number()
      .nullable()
      .meta({ description: 'Estimated CPU minutes; null if no run has recorded its CPU time yet' }),
    seconds: z.number().meta({ description: 'Estimated duration in seconds, from the speed of the last full run' }),
  })
  .meta({ id: 'BudgetEstimate' });

export const RunPlanSchema = z
  .strictObject({
    predictor: z.string(),
    users: z.int().meta({ description: 'Users of the last full run' }),
    until: z.iso.datetime().meta({ description: 'The next scheduled run; without a schedule, a day from now' }),
    // A union, because `nullable()` would add a second schema with another name to the OpenAPI document.
    asked: z
      .union([BudgetEstimateSchema, z.null()])
      .meta({ description: 'Estimate for the requested budget; null if none was requested' }),
    budgets: z.array(BudgetEstimateSchema).meta({ description: 'Estimates for other budgets, for comparison' }),
  })
  .meta({
    id: 'RunPlan',
    description: 'The effect of a budget, estimated from read counts and the cost of earlier runs',
  });

export type RunPlanView = Answered<typeof RunPlanSchema>;

export const RUN_PLAN_EXAMPLE: RunPlanView = {
  predictor: 'repurchase',
  users: 1_000_000,
  until: '2026-11-25T02:00:00.000Z',
  asked: {
    ...{ share: 0.25, users: 250_000, reads: 0.71, readsInterval: { low: 0.69, high: 0.73 }, readers: 0.63 },
    ...{ cpuMinutes: 0.6, seconds: 21 },
  },
  budgets: [
    {
      ...{ share: 1, users: 1_000_000, reads: 1, readsInterval: { low: 1, high: 1 }, readers: 1 },
      ...{ cpuMinutes: 2.4, seconds: 84 },
    },
  ],
};

export const RunPlanQuery = z.object({
  predictor: z.string().meta({ example: 'repurchase' }),
  share: z.number().gt(0).max(1).optional().meta({ description: 'Share of all users', example: 0.25 }),
  cpuMinutes: z.number().gt(0).optional().meta({ description: 'CPU minutes, as an alternative to `share`' }),
});

export const RunSchema = z
  .strictObject({
    id: z.uuid(),
    predictor: z.string(),
    scope: z.enum(['all', 'stale', 'users']),
    state: z.enum(['planned', 'running', 'publishing', 'done', 'done_with_errors', 'failed', 'cancelled']).meta({
      description:
        '`planned`: a worker will divide the users into chunks, or is doing so; `running`: chunks are scored; `publishing`: the new generation is checked',
    }),
    reason: z.string().meta({ description: 'Origin of the run: `api`, `cli` or `schedule`' }),
    budget: BudgetSchema.nullable().meta({ description: 'Budget of the run; null if there is no limit' }),
    error: z.string().nullable().meta({ description: 'Why the run failed, or a note on its publication' }),
    attempts: z.int().meta({
      description:
        'Attempts at the current step, planning or publishing; for an ended run, at its last step. After an outage of the database, a step is tried up to 40 times',
    }),
    attemptError: z.string().nullable().meta({ description: 'Why the last attempt at that step failed' }),
    modelVersion: z.string(),
    generation: z.string().nullable().meta({ description: 'Scope `all` only: the generation that the run makes' }),
    usersExpected: z.int(),
    usersScored: z.int(),
    usersFailed: z.int(),
    chunkCount: z.int(),
    chunksCommitted: z.int(),
    scheduledFor: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'Scheduled time of the run; null if it was started on request' }),
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
  budget: null,
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

/**
 * An event of a progress stream, as validators and clients that parse the stream see it. Other clients see a text, so
 * the schema is a union with it. OpenAPI 3.1 has no keyword for the items of a stream.
 */
export const RunEventSchema = z.union([
  z.strictObject({
    event: z.enum(['progress', 'end']),
    data: z.string().meta({
      description: 'A Run, as JSON',
      contentMediaType: 'application/json',
      contentSchema: { $ref: '#/components/schemas/Run' },
    }),
  }),
  z.string(),
]);

export const RunPageSchema = z
  .strictObject({
    runs: z.array(RunSchema),
    next: nextOf(z.uuid()),
  })
  .meta({ id: 'ListRunsAnswer' });

export const RunDetailSchema = z
  .strictObject({
    // `extend` is not used: the OpenAPI document would then require a Run, which allows no other fields, and these
    // fields. No body would match both.
    ...RunSchema.shape,
    failures: z.array(z.strictObject({ userId: z.string(), reason: z.string() }).meta({ id: 'FailedUser' })),
  })
  .meta({ id: 'ShowRunAnswer' });
