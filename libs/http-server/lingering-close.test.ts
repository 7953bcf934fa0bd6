import { connect } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LINGER_MS, MOST_WAITING } from './asked-connection.ts';
import { hear } from './heard.fixture.ts';
import { startTestServer } from './server.fixture.ts';
import type { HttpServer } from './server.ts';

let server: HttpServer;
let served: string[];
beforeEach(async () => {
  served = [];
  server = await startTestServer({
    answer({ url = '' }, outgoing) {
      served.push(url);
      outgoing.end(`${url}|${'x'.repeat(200_000)}`);
    },
  });
});
afterEach(() => server.close(0));

it('of ten thousand pipelined requests, answers those up to the limit completely and in order, and closes', async () => {
  const requests = Array.from({ length: 10_000 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
  const { text, end } = hear(socket);
  socket.write(requests.join(''));
  expect(await end).toBe('end');
  socket.destroy();
  const answers = text().split('HTTP/1.1 200 OK\r\n').slice(1);
  const paths = Array.from({ length: MOST_WAITING }, (_, i) => `/${i}`);
  expect(answers.map((answer) => /\r\n\r\n(.*)\|/.exec(answer)?.[1])).toEqual(paths);
  expect(answers.at(-1)?.length).toBeGreaterThan(200_000);
  expect(answers.findIndex((answer) => /^connection: close\r$/im.test(answer))).toBe(MOST_WAITING - 1);
  expect(served).toEqual(paths);
});

it('ends soon after a rejection, even if the client continues to send', async () => {
  const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
  const startedAt = performance.now();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {}).resume();
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nExpect\r\n');
  const drip = setInterval(() => socket.write('x'), 50);
  await closed;
  clearInterval(drip);
  const took = performance.now() - startedAt;
  expect(took).toBeGreaterThan(LINGER_MS / 2);
  expect(took).toBeLessThan(LINGER_MS * 20);
});
