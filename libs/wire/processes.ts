/** The live processes, and the model versions that each has loaded. */
import { z } from 'zod';
import type { Answered } from './schema.ts';

const ProcessSchema = z
  .strictObject({
    id: z.uuid().meta({ description: 'Identifies the process; each start gets a new id' }),
    kind: z.enum(['api', 'worker', 'embedded']),
    host: z.string(),
    pid: z.int(),
    release: z.string(),
    protocol: z.int().nullable().meta({
      description: 'The number of the freshness protocol that it knows; null for a release that does not report it',
    }),
    startedAt: z.iso.datetime(),
    seenAt: z.iso.datetime().meta({ description: 'When the process last reported, by the clock of Postgres' }),
    models: z
      .array(
        z.strictObject({
          predictor: z.string(),
          modelVersion: z.string(),
          state: z.enum(['loading', 'ready', 'failed']),
          error: z
            .string()
            .nullable()
            .meta({ description: 'Why the model version failed to load; null if it did not fail' }),
          since: z.iso.datetime(),
        }),
      )
      .meta({
        description:
          'The model versions that the process keeps loaded: those of all arms, including rollouts in preparation',
      }),
  })
  .meta({ id: 'Process', description: 'A live process, and the model versions that it keeps loaded' });

export type ProcessView = Answered<typeof ProcessSchema>;

export const PROCESS_EXAMPLE = {
  id: '6f1f2f0a-54a5-4b0e-9c7e-2c1d1c9f8f6b',
  kind: 'api',
  host: 'api-1',
  pid: 4711,
  release: '0.1.0',
  protocol: 1,
  startedAt: '2026-11-23T18:02:11.091Z',
  seenAt: '2026-11-24T10:30:01.344Z',
  models: [
    { predictor: 'repurchase', modelVersion: '2', state: 'ready', error: null, since: '2026-11-23T18:02:12.480Z' },
    {
      predictor: 'repurchase',
      modelVersion: '3',
      state: 'failed',
      error: 'the inference process ended: it took more than 512 MB of memory',
      since: '2026-11-24T10:29:58.011Z',
    },
  ],
} satisfies ProcessView;

export const ProcessesSchema = z
  .strictObject({ processes: z.array(ProcessSchema) })
  .meta({ id: 'ListProcessesAnswer' });
