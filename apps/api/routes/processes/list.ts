/** GET /v1/processes: the live processes, and the model versions that each has loaded. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import type { LiveProcess } from '@tandem/prediction/processes/processes';
import { PROCESS_EXAMPLE, ProcessesSchema, type ProcessView } from '@tandem/wire/processes';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

export function listProcesses({ listProcesses }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'listProcesses',
    method: 'get',
    path: '/v1/processes',
    tag: 'models',
    summary: 'The live processes and their loaded model versions',
    description:
      'A model version serves users only when every live API has it `ready`. A process without a heartbeat for 15 s is not listed.',
    scope: 'models:read',
    answer: {
      description: 'Longest-running process first',
      schema: ProcessesSchema,
      example: { processes: [PROCESS_EXAMPLE] },
    },
    problems: ['unavailable'],
    handle: async () => ({ processes: (await listProcesses()).map(viewOf) }),
  });
}

function viewOf({ startedAt, seenAt, versions, ...process }: LiveProcess): ProcessView {
  return {
    ...process,
    startedAt: startedAt.toISOString(),
    seenAt: seenAt.toISOString(),
    models: versions.map(({ predictor, modelNumber, state, error, at }) => {
      return { predictor, modelVersion: String(modelNumber), state, error, since: at.toISOString() };
    }),
  };
}
