import type { Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Connections } from './connections.ts';
import { startTestServer } from './server.fixture.ts';
import type { HttpServer } from './server.ts';

let server: HttpServer;
let faults: [error: unknown, url: string][];
const FAULT = new Error('secret table');
beforeEach(async () => {
  faults = [];
  server = await startTestServer({
    answer({ url }, outgoing) {
      if (url === '/throws') throw FAULT;
      if (url === '/rejects') return Promise.reject(FAULT);
      if (url === '/breaks-off') {
        outgoing.writeHead(200, { 'content-length': 10 }).write('half');
        throw FAULT;
      }
      outgoing.end('fine');
      return undefined;
    },
    onFault: (error, url) => void faults.push([error, url]),
  });
});
afterEach(() => server.close(0));

/** Sends requests. Returns all bytes that the server sends until the connection ends. */
function exchange(...requests: readonly string[]): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  socket.write(requests.join(''));
  return text(socket);
}
const get = (target: string, ...headers: readonly string[]) =>
  `GET ${target} HTTP/1.1\r\n${['Host: localhost', ...headers].join('\r\n')}\r\n\r\n`;
const last = (target: string) => get(target, 'Connection: close');

it.each(['/throws', '/rejects'])(
  'answers 500 if the handler fails (%s), without details, and continues to serve',
  async (url) => {
    const answer = await exchange(last(url));
    expect(answer).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\n/);
    expect(answer).not.toContain('secret');
    expect(faults).toEqual([[FAULT, url]]);
    expect(await exchange(last('/'))).toMatch(/fine$/);
  },
);

it('answers 500 to pipelined requests if the handler fails, in order', async () => {
  const answer = await exchange(get('/'), get('/throws'), get('/rejects'), last('/'));
  expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '500', '500', '200']);
});

it('truncates an answer that fails halfway, so that no client reads it as complete', async () => {
  const answer = await exchange(get('/breaks-off'), get('/')).catch(() => '');
  expect(answer).not.toContain('fine');
  expect(faults).toEqual([[FAULT, '/breaks-off']]);
  expect(await exchange(last('/'))).toMatch(/fine$/);
});

it('survives connections that it cannot accept', async () => {
  let raw: Server | undefined;
  const kept = new Connections({ most: 10 });
  const keep = (one: Server) => {
    raw = one;
    kept.keep(one);
  };
  await server.close(0);
  const answer = (_: unknown, outgoing: ServerResponse) => void outgoing.end('fine');
  server = await startTestServer({ answer, connections: { keep } });
  // Node emits these errors if accept fails. They are emitted twice, in case a listener handles only the first.
  for (const code of ['EMFILE', 'ENFILE']) raw?.emit('error', Object.assign(new Error('accept'), { code }));
  expect(await exchange(last('/'))).toMatch(/fine$/);
});

it.each(['/..', '/a/../b', '/%2e%2E/b', '/a/.%2e', '/./a', '/a/%2e?x=1', '/a\\..\\b', 'http://localhost/../b'])(
  'rejects a path that URL parsers change: %s',
  async (target) => {
    expect(await exchange(last(target))).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(faults).toEqual([]);
  },
);

it.each(['/a..b', '/...', '/.a', '/a?x=/../b', '/a%2f..%2fb', '/%252e%252e', '//', '/a?x=\\'])(
  'passes other paths to the handler: %s',
  async (target) => {
    expect(await exchange(last(target))).toMatch(/fine$/);
  },
);
