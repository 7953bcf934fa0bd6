/** Generations, and the rollback to an older one. */
import { z } from 'zod';
import { NUMBER_TEXT } from './numbers.ts';
import type { Answered } from './schema.ts';

export const GenerationSchema = z
  .strictObject({
    generation: z.string().meta({ description: 'Number of the generation' }),
    predictor: z.string(),
    state: z.enum(['building', 'held_back', 'published', 'dropped']).meta({
      description: '`held_back`: its run failed at a threshold of `publish`. It can be approved until it is dropped',
    }),
    approvalRefused: z.string().nullable().meta({
      description: 'Why a generation that is held back can no longer be approved; null if it can, or in other states',
    }),
    inForce: z.boolean(),
    wasStable: z.boolean().meta({ description: 'Whether its model version was ever stable' }),
    servedStable: z.boolean().meta({ description: 'Whether the stable arm ever served this generation' }),
    modelVersion: z.string(),
    kind: z.enum(['everyone', 'budgeted']).meta({
      description: '`budgeted`: a run with a budget made it for selected users; all other users are served from `base`',
    }),
    users: z.int().meta({ description: 'Users who have a prediction in the generation' }),
    base: z.string().nullable().meta({
      description: 'Number of the full generation that serves all other users; null if this generation is full',
    }),
    usersLeft: z.int().nullable().meta({
      description: 'Users served from `base`, counted at publication; null before publication, or without a base',
    }),
    runId: z.uuid(),
    startedAt: z.iso.datetime().meta({
      description: 'When its run was planned. Predictions that it carries over from another generation may be older',
    }),
    publishedAt: z.iso.datetime().nullable(),
  })
  .meta({
    id: 'Generation',
    description: 'The immutable predictions of one run of scope `all`, for one model version',
  });

export type GenerationView = Answered<typeof GenerationSchema>;

export const GENERATION_EXAMPLE: GenerationView = {
  generation: '17',
  predictor: 'repurchase',
  state: 'published',
  approvalRefused: null,
  inForce: true,
  wasStable: true,
  servedStable: true,
  modelVersion: '2',
  kind: 'everyone',
  users: 2357,
  base: null,
  usersLeft: null,
  runId: '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2b11',
  startedAt: '2026-11-24T02:00:00.120Z',
  publishedAt: '2026-11-24T02:00:14.913Z',
};

export const GenerationsSchema = z
  .strictObject({ generations: z.array(GenerationSchema) })
  .meta({ id: 'ListGenerationsAnswer' });

export const RollbackSchema = z
  .strictObject({
    to: z
      .string('expected the number of a generation, as text')
      .regex(NUMBER_TEXT, 'expected the number of a generation, as text')
      .optional()
      .meta({
        description: 'Default: the last generation that the stable arm served before the current one',
        example: '16',
      }),
    force: z
      .boolean()
      .default(false)
      .meta({ description: 'Whether the generation may be of a model version that has never been stable' }),
  })
  .meta({ id: 'Rollback' });

export const RolledBackSchema = z
  .strictObject({
    from: z.union([GenerationSchema, z.null()]).meta({ description: 'The generation that was current before' }),
    to: GenerationSchema,
  })
  .meta({ id: 'RollBackAnswer' });
