/** Tests the outcomes of a call over real sockets: answered, refused, truncated, without an answer. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLeakFinder } from '../checker/leaks.ts';
import { type Api, createHttpCaller } from './http-caller.ts';

let server: Server;
let api: Api;
const caller = createHttpCaller(createLeakFinder(['s3cret']));

beforeAll(async () => {
  server = createServer((incoming, outgoing) => {
    switch (incoming.url) {
      case '/answer':
        outgoing
          .setHeader('etag', 'W/"a"')
          .end(JSON.stringify({ method: incoming.method, said: incoming.headers['content-type'] }));
        break;
      case '/refuse':
        outgoing.writeHead(503, { 'retry-after': '2' }).end('{"detail":"s3cret"}');
        break;
      case '/break':
        outgoing.writeHead(200, { 'content-length': '100' }).write('{"half":');
        setImmediate(() => outgoing.destroy());
        break;
      case '/reset':
        incoming.socket.resetAndDestroy();
        break;
      default:
        // This request gets no answer.
        break;
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  api = { name: 'api 1', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
});
afterAll(() => {
  caller.close();
  server.closeAllConnections();
  server.close();
});

describe('a call', () => {
  it('is reported with its times, headers and body', async () => {
    const { call, headers, body } = await caller.send(api, {
      method: 'POST',
      path: '/answer',
      body: [1],
      timeoutMs: 60_000,
    });
    expect(call).toEqual({ at: expect.any(Number), ended: expect.any(Number), api: 'api 1', status: 200 });
    expect(call.ended).toBeGreaterThan(call.at);
    expect(headers.etag).toBe('W/"a"');
    expect(body).toEqual({ method: 'POST', said: 'application/json' });
  });

  it('that is refused is reported with Retry-After and with a leak in its body', async () => {
    const { call } = await caller.send(api, { method: 'GET', path: '/refuse', timeoutMs: 60_000 });
    expect(call).toMatchObject({ status: 503, retryAfter: 2, leak: 'secret 1' });
  });

  it.each([
    ['/break', 'reset', 60_000],
    ['/reset', 'reset', 60_000],
    ['/hang', 'timeout', 50],
  ])('to %s ends as %s', async (path, failure, timeoutMs) => {
    const { call, body } = await caller.send(api, { method: 'GET', path, timeoutMs });
    expect(call).toMatchObject({ status: null, failure });
    expect(body).toBeUndefined();
  });

  it('to a port without a server ends as refused', async () => {
    // The system gives no server a port below 1024 by chance. Another test may get a port that was just closed.
    const { call } = await caller.send(
      { name: 'api 2', url: 'http://127.0.0.1:1' },
      { method: 'GET', path: '/', timeoutMs: 60_000 },
    );
    expect(call).toMatchObject({ api: 'api 2', status: null, failure: 'refused' });
  });
});
