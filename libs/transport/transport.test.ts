/** Tests of attempts and retries of one call, on real sockets. */

import { createClient } from '@tandem/client/create-client';
import { expect, test } from 'vitest';
import { UnreachableError } from './client-errors.ts';
import { listen, sendJson, sendProblem } from './test-server.fixture.ts';

/** Creates a clock that advances only during pauses. */
function createClock() {
  const clock = { now: 0, pauses: [] as number[] };
  const sleep = async (ms: number) => {
    clock.pauses.push(ms);
    clock.now += ms;
  };
  return { clock, options: { now: () => clock.now, sleep, random: () => 1 } };
}

test('a read is retried while the service is away, and waits for its Retry-After', async () => {
  const { clock, options } = createClock();
  let attempts = 0;
  const url = await listen((request, response) => {
    attempts += 1;
    if (attempts === 1) request.socket.destroy();
    else if (attempts === 2) sendProblem(response, 503, 'overloaded', { 'retry-after': '1' });
    else if (attempts === 3) response.writeHead(502).end('<html>');
    else sendJson(response, { predictors: [] });
  });
  expect(await createClient({ url, ...options }).predictors()).toEqual([]);
  expect(clock.pauses).toEqual([100, 1_000, 400]);
});

test('Retry-After may be a date', async () => {
  const url = await listen((_, response) =>
    sendProblem(response, 503, 'unavailable', { 'retry-after': new Date(Date.now() + 60_000).toUTCString() }),
  );
  const error = await createClient({ url })
    .predictors()
    .catch((reason: unknown) => reason);
  expect(error).toMatchObject({ retryAfter: expect.closeTo(60, -1) });
});

test.each([
  ['a run', (client: ReturnType<typeof createClient>) => client.runs.start({ predictor: 'p', scope: 'all' })],
  ['a rollback', (client: ReturnType<typeof createClient>) => client.rollback('p')],
  ['a move of a rollout', (client: ReturnType<typeof createClient>) => client.rollouts.move('r', 'promote')],
])('%s is sent only once, whatever the result', async (_, call) => {
  let attempts = 0;
  const url = await listen((request) => {
    attempts += 1;
    request.socket.destroy();
  });
  await expect(call(createClient({ url, ...createClock().options }))).rejects.toBeInstanceOf(UnreachableError);
  expect(attempts).toBe(1);
});

test.each(['live_failed', 'no_prediction', 'live_timeout'])('a read is not repeated after %s', async (code) => {
  let attempts = 0;
  const url = await listen((_, response) => {
    attempts += 1;
    sendProblem(response, 503, code, { 'retry-after': '1' });
  });
  await expect(createClient({ url, ...createClock().options }).predict('p', '1')).rejects.toMatchObject({ code });
  expect(attempts).toBe(1);
});

test('during an outage, retries add few requests to the calls of the application', async () => {
  let attempts = 0;
  const url = await listen((_, response) => {
    attempts += 1;
    sendProblem(response, 503, 'unavailable');
  });
  const client = createClient({ url, now: () => 0, sleep: async () => {} });
  const calls = 2_000;
  for (let i = 0; i < calls; i += 50) {
    await Promise.allSettled(Array.from({ length: 50 }, () => client.predictMany('p', ['1'])));
  }
  // The burst, and the tokens that are refilled in the 2 s of a read.
  expect(attempts).toBeLessThanOrEqual(1.1 * calls + 100 + 20);
  expect(attempts).toBeGreaterThan(calls);
});

test('`retryForMs: 0` and `retryReadsForMs: 0` mean one attempt', async () => {
  let attempts = 0;
  const url = await listen((_, response) => {
    attempts += 1;
    sendProblem(response, 503, 'unavailable');
  });
  await expect(createClient({ url }).predict('p', '1', { retryForMs: 0 })).rejects.toThrow('unavailable');
  await expect(createClient({ url, retryReadsForMs: 0 }).predictors()).rejects.toThrow('unavailable');
  expect(attempts).toBe(2);
});

test('a redirect is refused, and neither key nor body follows it', async () => {
  const followed: (string | undefined)[] = [];
  const elsewhere = await listen((request, response) => {
    followed.push(request.url);
    response.end('{}');
  });
  const url = await listen((_, response) => response.writeHead(307, { location: `${elsewhere}/x` }).end());
  const client = createClient({ url, apiKey: 'tandem_live_x' });
  await expect(client.sendEvents([{ subject: '1', type: 'order.placed' }])).rejects.toMatchObject({
    status: 307,
    detail: expect.stringContaining(elsewhere),
  });
  expect(followed).toEqual([]);
});

test('an abort ends a call in the middle of an answer, and a pause between attempts', async () => {
  const url = await listen((request, response) => {
    if (request.url === '/v1/users/half') response.writeHead(200).write('{"half":');
    else sendProblem(response, 503, 'unavailable', { 'retry-after': '1' });
  });
  for (const userId of ['half', 'away']) {
    const controller = new AbortController();
    const call = createClient({ url }).user(userId, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 50);
    await expect(call).rejects.toThrow('enough');
  }
});

test.each([
  ['localhost:8080', 'write http://localhost:8080'],
  ['localhost', 'write http://localhost'],
  ['[::1]:8080', 'write http://[::1]:8080'],
  ['', 'write http://127.0.0.1:8080'],
  ['ftp://x', 'write http://127.0.0.1:8080'],
  ['http://', 'write http://127.0.0.1:8080'],
])('a client with the url "%s" is rejected at once, with the address to write', (url, remedy) => {
  const problem = { name: 'ProblemError', code: 'malformed_request', field: 'url', remedy };
  const detail = `url is "${url}", which does not start with http:// or https://`;
  expect(() => createClient({ url })).toThrow(expect.objectContaining({ ...problem, message: detail }));
});

test('a missing url is rejected at once', () => {
  const detail = 'url is undefined, which is not a string';
  expect(() => createClient({} as { url: string })).toThrow(expect.objectContaining({ message: detail }));
});

test.each(['http://h', 'HTTPS://h:1/path/', '/api', '/'])('a client accepts the url "%s"', (url) => {
  expect(() => createClient({ url })).not.toThrow();
});
