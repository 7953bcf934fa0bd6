import { TandemError } from '@tandem/freshness/errors';
import { createLog } from '@tandem/telemetry/log';
import { createMetrics } from '@tandem/telemetry/metrics';
import { expect, it } from 'vitest';
import { openAccess, type RouteScope } from './access.ts';
import { createServing } from './endpoint.ts';
import { createRefusalLog } from './refusal-log.ts';

const endpointOf = (scope: RouteScope) =>
  ({
    route: { operationId: 'readPrediction', method: 'get', path: '/x', responses: {} },
    scope,
    produces: 'application/json',
  }) as const;
const request = { url: 'http://127.0.0.1/x', header: () => undefined };

/** Creates an endpoint whose share of logged successes is 0. */
function createServed(scope: RouteScope) {
  const lines: string[] = [];
  const serve = createServing<{ readonly status: number }>(
    endpointOf(scope),
    {
      log: createLog({ level: 'info', name: 'api', destination: { write: (line) => void lines.push(line) } }),
      metrics: createMetrics({ app: 'api', processMetrics: false }),
      logShare: 0,
      random: () => 0.5,
      refusalLog: createRefusalLog({ logShare: 0, random: () => 0.5 }),
      isOurHost: () => true,
      access: openAccess,
    },
    ({ problem }) => ({ status: problem.status }),
  );
  return { serve, lines };
}

/** Returns the status of an error and its log line. */
async function served(error: Error, scope: RouteScope = 'public'): Promise<readonly [number, Record<string, unknown>]> {
  const { serve, lines } = createServed(scope);
  const { status } = await serve(request, () => Promise.reject(error));
  return [status, JSON.parse(lines[0] ?? '{}') as Record<string, unknown>];
}

it('logs a declared rejection with code, reason and causes, and without a stack', async () => {
  const cause = new Error('not now', { cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) });
  const [status, line] = await served(new TandemError('unavailable', 'The database does not answer.', { cause }));
  expect(status).toBe(503);
  expect(line).toMatchObject({
    level: 'info',
    code: 'unavailable',
    error: {
      message: 'The database does not answer.',
      cause: { message: 'not now', cause: { message: 'refused', code: 'ECONNREFUSED' } },
    },
  });
  expect(JSON.stringify(line)).not.toContain('stack');
  expect(await served(new TandemError('not_cached', 'No stored prediction may be served.'))).toMatchObject([
    504,
    { level: 'info', code: 'not_cached', error: { message: 'No stored prediction may be served.' } },
  ]);
});

it('logs a defect as an error, with the stack that leads to it', async () => {
  expect(await served(new TypeError('x is not a function'))).toMatchObject([
    500,
    { level: 'error', code: 'internal_error', error: { stack: expect.stringMatching(/^at /) } },
  ]);
});

it('logs the path of a rejection, but not of a rejected erasure, whose path has the user id', async () => {
  const error = new TandemError('unavailable', 'The user is erased, but Redis did not confirm its deletes.');
  expect((await served(error))[1]).toMatchObject({ operation: 'readPrediction', path: '/x' });
  const [status, line] = await served(error, 'users:erase');
  expect([status, line]).toMatchObject([503, { operation: 'readPrediction', code: 'unavailable' }]);
  expect(line).not.toHaveProperty('path');
});

it('logs a success that its handler marks as notable, in addition to the logged share', async () => {
  const { serve, lines } = createServed('public');
  await serve(request, () => ({ status: 200 }));
  expect(lines).toEqual([]);
  await serve(request, (event) => {
    event.markNotable();
    return { status: 200 };
  });
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ event: 'request.served', status: 200 }]);
});
