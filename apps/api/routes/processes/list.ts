/** GET /v1/processes: the live processes, and which model versions each of them has loaded. */
import { createRoute, z } from '@hono/zod-openapi';
import { PROCESS_EXAMPLE } from '@tandem/client/wire-examples';
import type { LiveProcess } from '@tandem/prediction/rollouts/processes';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problem-schema.ts';

const ProcessSchema = z
  .strictObject({
    id: z.uuid().meta({ description: 'Another at each start' }),
    kind: z.enum(['api', 'worker']),
    host: z.string(),
    pid: z.int(),
    release: z.string(),
    startedAt: z.iso.datetime(),
    seenAt: z.iso.datetime().meta({ description: 'When it was heard of last, on the clock of Postgres' }),
    models: z
      .array(
        z.strictObject({
          predictor: z.string(),
          modelVersion: z.string(),
          state: z.enum(['loading', 'ready', 'failed']),
          error: z.string().nullable().meta({ description: 'Why it failed' }),
          since: z.iso.datetime(),
        }),
      )
      .meta({ description: 'What it keeps loaded: the versions of all arms, also of rollouts that are prepared' }),
  })
  .meta({ id: 'Process' });

export interface ProcessDependencies {
  /** Port: the live processes, oldest first. */
  listProcesses(): Promise<readonly LiveProcess[]>;
}

export function listProcesses({ listProcesses }: ProcessDependencies): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    handle: async () => jsonResponse({ processes: (await listProcesses()).map(viewOf) }),
  };
}

function viewOf({ startedAt, seenAt, versions, ...process }: LiveProcess): z.output<typeof ProcessSchema> {
  return {
    ...process,
    startedAt: startedAt.toISOString(),
    seenAt: seenAt.toISOString(),
    models: versions.map(({ predictor, modelNumber, state, error, at }) => {
      return { predictor, modelVersion: String(modelNumber), state, error, since: at.toISOString() };
    }),
  };
}

const route = createRoute({
  operationId: 'listProcesses',
  method: 'get',
  path: '/v1/processes',
  tags: ['models'],
  summary: 'The live processes, and what each has loaded',
  description:
    'Users are given to a model version when every live API has it `ready`. A process that was not heard of for 15 s is not listed.',
  responses: {
    200: {
      description: 'The one that lives for longest first',
      content: {
        'application/json': {
          schema: z.strictObject({ processes: z.array(ProcessSchema) }),
          example: { processes: [PROCESS_EXAMPLE] },
        },
      },
    },
    ...problems('unavailable'),
  },
});
