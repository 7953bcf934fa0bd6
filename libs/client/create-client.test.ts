/** Tests of the client on real sockets, with servers that answer, fail or stay silent. */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { OutcomeInput } from '@tandem/outcomes/client';
import { ProblemError, UnreachableError } from '@tandem/transport/client-errors';
import { readHeaders } from '@tandem/transport/read-call';
import { MODEL_EXAMPLE } from '@tandem/wire/models';
import { afterEach, expect, test } from 'vitest';
import { createClient } from './create-client.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function listen(answer: RequestListener): Promise<string> {
  server = createServer(answer).listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const sleep = async () => undefined;

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function sendProblem(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/problem+json', 'retry-after': '1' });
  response.end(
    JSON.stringify({ type: `https://tandem.example/problems/${code}`, title: code, detail: 'no', field: 'a' }),
  );
}

test('demands are sent as HTTP cache directives', () => {
  expect(readHeaders({ noCache: true, maxAge: 60, maxStale: true, minContext: 'h.3', ifNoneMatch: 'W/"a"' })).toEqual({
    'cache-control': 'no-cache, max-age=60, max-stale',
    'prediction-min-context': 'h.3',
    'if-none-match': 'W/"a"',
  });
  expect(readHeaders({ onlyIfCached: true, maxStale: 0 })).toEqual({ 'cache-control': 'only-if-cached, max-stale=0' });
  expect(readHeaders({})).toEqual({});
});

test('request features and candidates are sent unchanged', async () => {
  const sent: unknown[] = [];
  const url = await listen(async (request, response) => {
    sent.push([request.url, await json(request)]);
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ results: [] }));
  });
  const client = createClient({ url });
  const users = [{ userId: '42', features: { amount: 12.5, channel: 'app', express: true } }];
  expect(await client.predictUsers('checkout', users)).toEqual([]);
  const ranked = { userId: '42', candidates: [{ id: 'a', features: { price: 1 } }], limit: 1 };
  await client.rank('offers', ranked);
  expect(sent).toEqual([
    ['/v1/predictions/checkout', { users }],
    ['/v1/rankings/offers', ranked],
  ]);
});

test('ids are escaped in paths', async () => {
  const paths: (string | undefined)[] = [];
  const url = await listen((request, response) => {
    paths.push(request.url);
    sendProblem(response, 404, 'unknown_user');
  });
  await createClient({ url: `${url}/` })
    .predict('a/b', '../x y?')
    .catch(() => undefined);
  expect(paths).toEqual(['/v1/predictions/a%2Fb/..%2Fx%20y%3F']);
});

test('an id that fetch would resolve as part of the path is refused before the request', async () => {
  let asked = 0;
  const url = await listen((_, response) => {
    asked++;
    response.end('{}');
  });
  const client = createClient({ url });
  for (const id of ['.', '..']) {
    const calls = [
      client.predict('repurchase', id),
      client.eraseUser(id),
      client.readmitUser(id),
      client.user(id),
      client.explanation('repurchase', id),
    ];
    for (const call of calls) {
      await expect(call).rejects.toMatchObject({
        code: 'malformed_request',
        remedy: expect.stringContaining('another id'),
      });
    }
  }
  expect(asked).toBe(0);
  expect(await client.user('...')).toEqual({});
});

test('an empty predictor or user id is refused before the request', async () => {
  let asked = 0;
  const url = await listen((_, response) => {
    asked++;
    sendProblem(response, 404, 'no_such_path');
  });
  const client = createClient({ url });
  const calls = [
    client.predict('repurchase', ''),
    client.predict('', '42'),
    ...['42', '43'].map((userId) => client.predict('', userId, { maxAge: 60 })),
    client.predictMany('', ['42']),
    client.rank('', { userId: '42', candidates: [] }),
    client.user(''),
    client.eraseUser(''),
    client.explanation('', '42'),
    client.rollback(''),
  ];
  for (const settled of await Promise.allSettled(calls)) {
    expect(settled).toMatchObject({
      reason: {
        code: 'malformed_request',
        detail: expect.stringMatching(/is empty: the path would be \/v1\//),
        remedy: expect.stringContaining('not empty'),
      },
    });
  }
  expect(asked).toBe(0);
});

test('every call sends the key in the Authorization header', async () => {
  const sent: (string | undefined)[] = [];
  const url = await listen((request, response) => {
    sent.push(request.headers.authorization, request.url);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ models: [], results: [] }));
  });
  const client = createClient({ url, apiKey: 'tandem_live_x', headers: { 'x-trace': '1' } });
  await client.models();
  await client.sendEvents([{ subject: '1', type: 'order.placed' }]);
  expect(sent).toEqual(['Bearer tandem_live_x', '/v1/models', 'Bearer tandem_live_x', '/v1/events']);
});

test('model versions are listed of one predictor, or of all', async () => {
  const paths: (string | undefined)[] = [];
  const url = await listen((request, response) => {
    paths.push(request.url);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ models: [MODEL_EXAMPLE] }));
  });
  const client = createClient({ url });
  expect(await client.models('a/b')).toEqual([MODEL_EXAMPLE]);
  expect(await client.models()).toEqual([MODEL_EXAMPLE]);
  expect(paths).toEqual(['/v1/models/a%2Fb', '/v1/models']);
});

test('an answer has its headers, and a 304 is returned as `notModified`', async () => {
  const url = await listen((request, response) => {
    const headers = { etag: 'W/"1"', age: '12', 'cache-status': 'tandem; hit' };
    if (request.headers['if-none-match'] === 'W/"1"') response.writeHead(304, headers).end();
    else response.writeHead(200, headers).end('{"predictor":"p","prediction":{"score":1}}');
  });
  const client = createClient({ url });
  expect(await client.predict('p', '1')).toMatchObject({
    notModified: false,
    etag: 'W/"1"',
    age: 12,
    answer: { predictor: 'p' },
  });
  expect(await client.predict('p', '1', { ifNoneMatch: 'W/"1"' })).toMatchObject({
    notModified: true,
    cacheStatus: 'tandem; hit',
  });
});

test('a read with `ifNoneMatch` does not demand an inference', async () => {
  const sent: (string | undefined)[] = [];
  const url = await listen((request, response) => {
    sent.push(request.headers['cache-control']);
    response.writeHead(304).end();
  });
  const client = createClient({ url });
  await client.predict('p', '1', { ifNoneMatch: 'W/"1"' });
  await client.predict('p', '1', { ifNoneMatch: 'W/"1"', maxAge: 60 });
  expect(sent).toEqual(['no-transform', 'max-age=60']);
});

test('a problem document becomes a ProblemError with all its fields', async () => {
  const url = await listen((_, response) => sendProblem(response, 404, 'unknown_user'));
  const error = await createClient({ url })
    .user('7')
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ProblemError);
  expect(error).toMatchObject({ status: 404, code: 'unknown_user', message: 'no', field: 'a', retryAfter: 1 });
});

test('an error page of a proxy is a ProblemError with its status; a 200 without JSON is an UnreachableError', async () => {
  const url = await listen((request, response) => {
    response.writeHead(request.url?.includes('generations') ? 502 : 200).end('<html>');
  });
  const client = createClient({ url });
  await expect(client.generations('p')).rejects.toMatchObject({ name: 'ProblemError', status: 502 });
  await expect(client.predictors()).rejects.toBeInstanceOf(UnreachableError);
});

test('a call to a silent server ends at its deadline, also in the middle of an answer', async () => {
  const url = await listen((request, response) => {
    if (request.url === '/v1/users/half') response.writeHead(200).write('{"half":');
  });
  const client = createClient({ url, timeoutMs: 80 });
  await expect(client.user('none')).rejects.toMatchObject({ name: 'UnreachableError', timedOut: true });
  await expect(client.user('half')).rejects.toMatchObject({ name: 'UnreachableError', timedOut: true });
});

test('an event is sent again with the same id until it is acknowledged', async () => {
  const bodies: unknown[] = [];
  const url = await listen(async (request, response) => {
    bodies.push(await json(request));
    if (bodies.length === 1) request.socket.destroy();
    else if (bodies.length === 2) sendProblem(response, 503, 'unavailable');
    else response.end('{"results":[{"status":"accepted"}]}');
  });
  const client = createClient({ url, sleep, source: 'shop' });
  expect(await client.sendEvents([{ subject: '42', type: 'order.placed' }])).toEqual([{ status: 'accepted' }]);
  expect(bodies).toHaveLength(3);
  expect(bodies[0]).toEqual([expect.objectContaining({ specversion: '1.0', source: 'shop', subject: '42' })]);
  expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
});

test('a run is watched to its end although streams break', async () => {
  let streams = 0;
  const url = await listen((_, response) => {
    streams += 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const state = streams < 3 ? 'running' : 'done';
    response.write(`data: {"id":"r","state":"${state}","usersScored":${streams}}\n\n`, () => response.destroy());
  });
  const runs = await collect(createClient({ url, sleep }).runs.watch('r'));
  expect(runs.map((run) => [run.state, run.usersScored])).toEqual([
    ['running', 1],
    ['running', 2],
    ['done', 3],
  ]);
});

test('watching an unknown run fails with the problem of the service', async () => {
  const url = await listen((_, response) => sendProblem(response, 404, 'unknown_run'));
  await expect(collect(createClient({ url, sleep }).runs.watch('r'))).rejects.toMatchObject({
    code: 'unknown_run',
  });
});

test('an aborted watch rejects with the caller’s reason', async () => {
  const controller = new AbortController();
  const url = await listen((_, response) => {
    response.writeHead(200).write('data: {"state":"running"}\n\n');
  });
  const watch = createClient({ url }).runs.watch('r', { signal: controller.signal });
  await expect(
    (async () => {
      for await (const _ of watch) controller.abort(new Error('enough'));
    })(),
  ).rejects.toThrow('enough');
});

test('an outcome is sent again with the same id until it is acknowledged', async () => {
  const bodies: unknown[] = [];
  const url = await listen(async (request, response) => {
    bodies.push([request.url, await json(request)]);
    if (bodies.length === 1) sendProblem(response, 503, 'unavailable');
    else response.end('{"results":[{"status":"accepted"}]}');
  });
  const client = createClient({ url, sleep, source: 'shop', newId: () => crypto.randomUUID() });
  expect(await client.sendOutcomes([{ userId: '42', name: 'order', value: 3 }])).toEqual([{ status: 'accepted' }]);
  const [first] = bodies;
  expect(first).toEqual([
    '/v1/outcomes',
    { outcomes: [{ id: expect.any(String), source: 'shop', userId: '42', name: 'order', value: 3 }] },
  ]);
  expect(bodies).toEqual([first, first]);
});

test('an outcome whose value is present but undefined is refused, since it would count as 1', async () => {
  const client = createClient({ url: 'http://127.0.0.1:9', sleep });
  const outcome = { userId: '1', name: 'order', value: undefined } as unknown as OutcomeInput;
  await expect(client.sendOutcomes([outcome])).rejects.toThrow(
    'outcomes[0].value is undefined: send a number, or leave',
  );
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])(
  'a number that JSON cannot represent is refused before the request: %d',
  async (value) => {
    let asked = 0;
    const url = await listen((_, response) => {
      asked++;
      response.end('{"results":[]}');
    });
    const client = createClient({ url, sleep });
    const outcomes = [
      { userId: '1', name: 'order', value: 3 },
      { userId: '2', name: 'order', value },
    ];
    await expect(client.sendOutcomes(outcomes)).rejects.toThrow(`outcomes[1].value is ${value}: send a finite number`);
    const event = { type: 'order', subject: '1', data: { amount: value } };
    await expect(client.sendEvents([event])).rejects.toThrow(`events[0].data.amount is ${value}: send a finite number`);
    expect(asked).toBe(0);
  },
);
