/** The stored records of a user, and the receipt of an erasure. */
import { z } from 'zod';
import { OutputsSchema } from './predictions.ts';
import type { Answered } from './schema.ts';

export const StoresSchema = z
  .strictObject({ redis: z.enum(['ok', 'failed']), postgres: z.enum(['ok', 'failed']) })
  .meta({ description: 'Which stores answered. A store that failed may hold further predictions' });

export const CandidateSchema = z
  .strictObject({
    store: z.enum(['redis', 'postgres']),
    layer: z.enum(['generation', 'overlay']),
    source: z.enum(['batch', 'live']),
    madeBy: z.enum(['run', 'read', 'refresh']).meta({
      description: 'Origin of the prediction: a batch run, a live read, or a re-scoring',
    }),
    state: z.enum(['fresh', 'restarted', 'stale', 'expired', 'foreign', 'blocked']).meta({
      description:
        '`stale`: from an older context; `expired`: older than maxAge; `restarted`: expiry counted from a rollback; `foreign`: of another generation, history, model version or overlay floor; `blocked`: from before an erasure',
    }),
    prediction: OutputsSchema.nullable().meta({
      description: 'The stored prediction; null if its value is unreadable',
    }),
    modelVersion: z.string().nullable(),
    generation: z
      .string()
      .nullable()
      .meta({ description: 'Number of the current generation; null if the prediction does not belong to it' }),
    history: z.string().nullable(),
    overlayFloor: z.int().nullable(),
    predictedFromContextVersion: z.int(),
    computedAt: z.iso.datetime(),
    ageSeconds: z.int(),
  })
  .meta({ id: 'Candidate', description: 'A stored prediction of a user and its current freshness state' });

export type CandidateView = Answered<typeof CandidateSchema>;

export const CANDIDATE_EXAMPLE = {
  store: 'redis',
  layer: 'generation',
  source: 'batch',
  madeBy: 'run',
  state: 'stale',
  prediction: { score: 0.412 },
  modelVersion: '2',
  generation: '17',
  history: null,
  overlayFloor: null,
  predictedFromContextVersion: 5,
  computedAt: '2026-11-24T02:00:11.250Z',
  ageSeconds: 31_842,
} satisfies CandidateView;

const EventValueSchema = z
  .strictObject({
    value: z.unknown(),
    acceptedAt: z.iso.datetime().meta({ description: "By the database's clock" }),
    time: z.iso.datetime().meta({ description: 'When the event happened, according to the sender' }),
    source: z.string(),
    id: z.string(),
  })
  .meta({ id: 'EventValue', description: 'A feature value that an event set in the context of a user' });

export type EventValueView = Answered<typeof EventValueSchema>;

export const EVENT_VALUE_EXAMPLE = {
  value: 4,
  acceptedAt: '2026-11-24T10:12:00.480Z',
  time: '2026-11-24T10:12:00.000Z',
  source: '/shop/orders',
  id: 'order-1009',
} satisfies EventValueView;

export const UserSchema = z
  .strictObject({
    userId: z.string(),
    history: z.string(),
    contextVersion: z.int(),
    updatedAt: z.iso.datetime().nullable(),
    context: z.record(z.string(), EventValueSchema).meta({ description: 'Feature name → latest value from an event' }),
    predictors: z.array(
      z.strictObject({
        predictor: z.string(),
        lastConcerningVersion: z.int().meta({
          description:
            'The version of the last event that concerns the predictor. A prediction from an older version is not fresh',
        }),
        stores: StoresSchema,
        candidates: z.array(CandidateSchema),
      }),
    ),
  })
  .meta({ id: 'User' });

export const USER_EXAMPLE = {
  userId: '42',
  history: '9f2c4a1be07d3358',
  contextVersion: 6,
  updatedAt: '2026-11-24T10:12:00.480Z',
  context: { orders: EVENT_VALUE_EXAMPLE },
  predictors: [
    {
      predictor: 'repurchase',
      lastConcerningVersion: 6,
      stores: { redis: 'ok', postgres: 'ok' },
      candidates: [CANDIDATE_EXAMPLE],
    },
  ],
} satisfies Answered<typeof UserSchema>;

const count = (description: string) => z.int().meta({ description });

export const ReceiptSchema = z
  .strictObject({
    userId: z.string(),
    erasedAt: z.iso.datetime().meta({ description: "Time of the tombstone, by the database's clock" }),
    contextVersion: z.int().meta({
      description: 'Context version of the tombstone: predictions from it or earlier contexts are not served',
    }),
    contextToken: z.string(),
    deleted: z
      .strictObject({
        postgres: z.strictObject({
          contextValues: count('Feature values from events'),
          events: count('Events whose data was cleared'),
          predictions: count('Predictions in published generations'),
          overlayEntries: count('Predictions of live reads and partial runs in the overlay'),
          runFailures: count('Entries in reports of users who could not be scored'),
          outcomes: count('Outcomes that were cleared'),
          exposures: count('Records of the first answer from an arm of a rollout'),
          keptExplanations: count('Explanations: kept answers with their features'),
          readCounts: count('Counts of how often the user was read'),
        }),
        redis: z.strictObject({ predictions: z.int(), overlayEntries: z.int() }),
      })
      .meta({ description: 'Records deleted by this request; zero if the user was erased before' }),
  })
  .meta({ id: 'ErasureReceipt', description: 'Receipt of an erasure, with counts of deleted records' });

export const RECEIPT_EXAMPLE = {
  userId: '42',
  erasedAt: '2026-11-24T11:02:40.117Z',
  contextVersion: 7,
  contextToken: '9f2c4a1be07d3358.7',
  deleted: {
    postgres: {
      contextValues: 1,
      events: 2,
      predictions: 3,
      overlayEntries: 1,
      runFailures: 0,
      outcomes: 1,
      exposures: 1,
      keptExplanations: 2,
      readCounts: 1,
    },
    redis: { predictions: 3, overlayEntries: 1 },
  },
} satisfies Answered<typeof ReceiptSchema>;

export const ReadmissionSchema = z
  .strictObject({
    userId: z.string(),
    status: z.enum(['readmitted', 'not_erased']),
    contextVersion: z.int(),
    contextToken: z.string(),
  })
  .meta({ id: 'Readmission' });

export const READMISSION_EXAMPLE = {
  userId: '42',
  status: 'readmitted',
  contextVersion: 8,
  contextToken: '9f2c4a1be07d3358.8',
} satisfies Answered<typeof ReadmissionSchema>;
