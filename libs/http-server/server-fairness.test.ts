import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { startTestServer } from './server.fixture.ts';

const TOGETHER = 30;
/** The duration of each answer in ms, longer than the time for pipelined requests in one turn. */
const EACH_MS = 2;

const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

/** Blocks for a while, as an answer of many megabytes does. */
function spin(): void {
  for (const until = performance.now() + EACH_MS; performance.now() < until; );
}

it('begins a request of another connection before all pipelined requests of one connection', async () => {
  const begun: string[] = [];
  const { promise: first, resolve: isFirst } = Promise.withResolvers<void>();
  const server = await startTestServer({
    answer({ url = '' }, outgoing) {
      begun.push(url);
      isFirst();
      spin();
      outgoing.end('done');
    },
  });
  const [greedy, other] = [connect(server.port, '127.0.0.1'), connect(server.port, '127.0.0.1')];
  try {
    const ended = new Promise((resolve) => other.once('data', resolve));
    await new Promise((resolve) => other.once('connect', resolve));
    greedy.resume().write(request('/greedy').repeat(TOGETHER));
    await first;
    other.write(request('/other'));
    await ended;
    await expect.poll(() => begun.length, { interval: 5 }).toBe(TOGETHER + 1);
    expect(begun.indexOf('/other')).toBeLessThan(TOGETHER);
  } finally {
    greedy.destroy();
    other.destroy();
    await server.close(0);
  }
});
