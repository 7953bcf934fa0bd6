/** The server's metadata, its readiness and the text of its errors, for both transports. */

import { jsonResponse } from '@tandem/endpoints/body';
import type { RefusalForm } from '@tandem/endpoints/describe-problems';
import type { ApiHost } from '@tandem/extension/extension';
import { TandemError } from '@tandem/freshness/errors';
import { RELEASE } from '@tandem/telemetry/release';
import type { ProblemView } from '@tandem/wire/problem';
import { BINARY_EXTENSION } from './messages/http-message.ts';
import { InferenceErrorSchema } from './wire.ts';

export type ReadyDependencies = Pick<ApiHost, 'readiness'>;

/** The server's metadata over HTTP. gRPC does not have the binary extension. */
export const SERVER = Object.freeze({ name: 'tandem', version: RELEASE, extensions: [BINARY_EXTENSION] });

export async function isReady({ readiness }: ReadyDependencies): Promise<boolean> {
  return (await readiness.check()).status !== 'not_ready';
}

/** Throws `unavailable` if the server is not ready. */
export async function assertReady(dependencies: ReadyDependencies): Promise<void> {
  if (await isReady(dependencies)) return;
  throw new TandemError('unavailable', 'The service is not ready.', {
    retryAfter: 1,
    remedy: 'retry, or use another server; GET /readyz names the part that fails',
  });
}

/** Returns a problem's detail and remedy as one text. */
export function errorText({ detail, remedy }: Pick<ProblemView, 'detail' | 'remedy'>): string {
  return remedy === undefined ? detail : `${detail} To fix it: ${remedy}.`;
}

function errorView(problem: ProblemView) {
  const { type, field } = problem;
  return { error: errorText(problem), type, ...(field === undefined ? {} : { field }) };
}

export const INFERENCE_ERRORS: RefusalForm = {
  below: '/v2',
  respond: ({ problem, headers }) => jsonResponse(errorView(problem), problem.status, headers),
  type: 'application/json',
  schema: InferenceErrorSchema,
  view: errorView,
};
