/** Tests of single reads that share a request: on real sockets, and against an oracle with random reads. */
import type { IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { listen, sendJson, sendProblem } from '@tandem/transport/test-server.fixture';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createClient } from './create-client.ts';

/** Returns the answer of a service that knows all users except those with an id that is a multiple of ten. */
function resultOf(predictor: string, userId: string) {
  if (userId.endsWith('0')) {
    return { userId, error: { type: 'urn:tandem:problem:unknown_user', title: 'x', status: 404, detail: userId } };
  }
  return { predictor, userId, prediction: { score: Number(userId) }, ageSeconds: 7 };
}

interface Seen {
  readonly method: string;
  readonly userIds: readonly string[];
  readonly cacheControl: string | undefined;
}

async function startService(seen: Seen[] = []): Promise<string> {
  return listen(async (request, response) => {
    const [, , , predictor = '', user] = (request.url ?? '').split('/');
    const { userIds } = user === undefined ? ((await json(request)) as { userIds: string[] }) : { userIds: [user] };
    seen.push({ method: request.method ?? '', userIds, cacheControl: request.headers['cache-control'] });
    if (user === undefined) return sendJson(response, { results: userIds.map((id) => resultOf(predictor, id)) });
    const result = resultOf(predictor, user);
    if ('error' in result) return sendProblem(response, 404, 'unknown_user');
    sendJson(response, result, { etag: 'W/"1"' });
  });
}

test('reads of one turn share a request, and each gets its own answer or error', async () => {
  const seen: Seen[] = [];
  const client = createClient({ url: await startService(seen) });
  const results = await Promise.allSettled(['1', '20', '3', '1'].map((id) => client.predict('churn', id)));
  expect(seen).toEqual([{ method: 'POST', userIds: ['1', '20', '3'], cacheControl: undefined }]);
  expect(results.map((one) => (one.status === 'fulfilled' ? one.value.answer.prediction : one.reason.code))).toEqual([
    { score: 1 },
    'unknown_user',
    { score: 3 },
    { score: 1 },
  ]);
  const [first, , , last] = results.map((one) => (one.status === 'fulfilled' ? one.value : undefined));
  expect(first).toMatchObject({ notModified: false, etag: null, cacheStatus: null, age: 7 });
  expect(first?.answer).toEqual(last?.answer);
  expect(first?.answer).not.toBe(last?.answer);
});

test('a read that is alone in its turn is a GET, and returns the headers of the answer', async () => {
  const seen: Seen[] = [];
  const client = createClient({ url: await startService(seen) });
  expect(await client.predict('churn', '1')).toMatchObject({ etag: 'W/"1"' });
  await client.predict('churn', '2');
  const same = await Promise.all([client.predict('churn', '3'), client.predict('churn', '3')]);
  expect(same.map(({ etag }) => etag)).toEqual(['W/"1"', 'W/"1"']);
  expect(seen.map(({ method, userIds }) => [method, ...userIds])).toEqual([
    ['GET', '1'],
    ['GET', '2'],
    ['GET', '3'],
  ]);
});

test('reads that differ in predictor, demands, token or etag do not share a request', async () => {
  const seen: Seen[] = [];
  const client = createClient({ url: await startService(seen) });
  await Promise.all([
    client.predict('churn', '1'),
    client.predict('churn', '2', { maxAge: 60, maxStale: true }),
    client.predict('churn', '3', { maxStale: true, maxAge: 60 }),
    client.predict('churn', '4', { noCache: true }),
    client.predict('churn', '5', { minContext: 'h.1' }),
    client.predict('churn', '6', { ifNoneMatch: 'W/"0"' }),
    client.predict('churn', '7', { timeoutMs: 4_000 }),
    client.predict('offers', '8'),
  ]);
  expect(seen.map(({ method, userIds }) => `${method} ${userIds}`).sort()).toEqual([
    'GET 1',
    'GET 4',
    'GET 5',
    'GET 6',
    'GET 7',
    'GET 8',
    'POST 2,3',
  ]);
});

test('an id that makes the service refuse a whole request is not sent with other users', async () => {
  const client = createClient({ url: await startService() });
  const ids = ['1', '..', '\ud800', '3'];
  const results = await Promise.allSettled(ids.map((id) => client.predict('churn', id)));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
});

test('`coalesce: false` gives each read its own request', async () => {
  const seen: Seen[] = [];
  const client = createClient({ url: await startService(seen), coalesce: false });
  await Promise.all(['1', '2'].map((id) => client.predict('churn', id)));
  expect(seen.map(({ method }) => method)).toEqual(['GET', 'GET']);
});

test('more than a thousand users take several requests', async () => {
  const seen: Seen[] = [];
  const client = createClient({ url: await startService(seen) });
  const ids = Array.from({ length: 1_234 }, (_, i) => `${i}1`);
  const answers = await Promise.all(ids.map((id) => client.predict('churn', id)));
  expect(answers.map(({ answer }) => answer.userId)).toEqual(ids);
  expect(seen.map(({ userIds }) => userIds.length).sort()).toEqual([1_000, 234]);
});

test('the abort of one caller does not affect the others; the request is aborted when all callers have aborted', async () => {
  const arrived = Promise.withResolvers<IncomingMessage>();
  const answer = Promise.withResolvers<void>();
  const url = await listen(async (request, response) => {
    arrived.resolve(request);
    await answer.promise;
    sendJson(response, { results: ['1', '2'].map((id) => resultOf('churn', id)) });
  });
  const client = createClient({ url });
  const [one, two] = [new AbortController(), new AbortController()];
  const first = client.predict('churn', '1', { signal: one.signal });
  const second = client.predict('churn', '2', { signal: two.signal });
  await arrived.promise;
  one.abort(new Error('enough'));
  await expect(first).rejects.toThrow('enough');
  answer.resolve();
  expect((await second).answer.prediction).toEqual({ score: 2 });
});

test('a request is aborted when no caller waits for it, and is never sent if all callers have left before', async () => {
  const arrived = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  let requests = 0;
  const url = await listen((request) => {
    requests += 1;
    request.socket.once('close', () => closed.resolve());
    arrived.resolve();
  });
  const client = createClient({ url });
  const controllers = ['1', '2'].map(() => new AbortController());
  const reads = controllers.map(({ signal }, i) => client.predict('churn', `${i + 1}`, { signal }));
  await arrived.promise;
  for (const controller of controllers) controller.abort(new Error('enough'));
  for (const read of reads) await expect(read).rejects.toThrow('enough');
  await closed.promise;

  const early = new AbortController();
  const read = client.predict('churn', '3', { signal: early.signal });
  early.abort(new Error('before'));
  await expect(read).rejects.toThrow('before');
  await expect(client.predict('churn', '4', { signal: early.signal })).rejects.toThrow('before');
  expect(requests).toBe(1);
});

test('an answer of another user reaches no caller', async () => {
  const url = await listen((_, response) =>
    sendJson(response, { results: [resultOf('churn', '2'), resultOf('churn', '1')] }),
  );
  const client = createClient({ url });
  const results = await Promise.allSettled(['1', '2', '3'].map((id) => client.predict('churn', id)));
  expect(results.map((one) => one.status === 'rejected' && one.reason.name)).toEqual(Array(3).fill('UnreachableError'));
});

test('if the whole request is refused, each caller gets the error', async () => {
  const url = await listen((_, response) => sendProblem(response, 404, 'unknown_predictor'));
  const results = await Promise.allSettled(['1', '2'].map((id) => createClient({ url }).predict('churn', id)));
  expect(results.map((one) => one.status === 'rejected' && one.reason.code)).toEqual(
    Array(2).fill('unknown_predictor'),
  );
});

test('each read of a turn gets the same result as if it were alone', async () => {
  const url = await startService();
  const client = createClient({ url });
  const read = fc.record({
    predictor: fc.constantFrom('churn', 'offers'),
    userId: fc.integer({ min: 1, max: 40 }).map(String),
    options: fc.constantFrom({}, { maxAge: 60 }, { noCache: true }),
    aborts: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(read, { maxLength: 30 }), async (reads) => {
      const results = await Promise.allSettled(
        reads.map(({ predictor, userId, options, aborts }) => {
          const controller = new AbortController();
          const result = client.predict(predictor, userId, { ...options, signal: controller.signal });
          if (aborts) controller.abort(new Error('enough'));
          return result;
        }),
      );
      const expected = reads.map(({ predictor, userId, aborts }) =>
        aborts ? 'enough' : userId.endsWith('0') ? 'unknown_user' : `${predictor} ${userId}`,
      );
      const got = results.map((one) => {
        if (one.status === 'rejected') return one.reason.code ?? one.reason.message;
        return `${one.value.answer.predictor} ${one.value.answer.userId}`;
      });
      expect(got).toEqual(expected);
    }),
    { numRuns: 50 },
  );
});
