import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from './api.fixture.ts';
import { type RunningServer, startServer } from './server.ts';

let api: TestApi;
let server: RunningServer;
/** The id of a run that no worker takes. */
let runId: string;
beforeAll(async () => {
  api = await createTestApi();
  server = await startServer({ fetch: api.app.fetch, host: '127.0.0.1', port: 0 });
  const started = await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' });
  runId = ((await started.json()) as { id: string }).id;
});
afterAll(async () => {
  api?.dependencies.app.runWatcher.close();
  await server?.close(0);
  await api?.close();
});

/** Writes bytes to the server, and returns all that it writes back. */
function exchange(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1', () => socket.write(bytes));
    let answer = '';
    socket.setTimeout(20_000, () => socket.destroy(new Error(`no end; so far: ${answer}`)));
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}
const statusOf = (answer: string) => Number(answer.slice(9, 12));
const post = (headers: string, body = '') =>
  `POST /v1/predictions/repurchase HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n${body}`;

describe('startServer', () => {
  it('answers CONNECT with all methods of the service', async () => {
    const answer = await exchange('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n');
    const { paths } = (await (await api.get('/openapi.json')).json()) as { paths: Record<string, object> };
    const documented = Object.values(paths).flatMap((path) => Object.keys(path).map((method) => method.toUpperCase()));
    const methods = [...new Set([...documented, 'HEAD', 'OPTIONS'])].sort();
    expect(/^allow: (.*)\r$/m.exec(answer)?.[1]).toBe(methods.join(', '));
  });

  it('answers malformed requests with a problem, and closes the connection', async () => {
    const cases: [string, number][] = [
      [`GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(9_000)}\r\n\r\n`, 431],
      ['nonsense\r\n\r\n', 400],
      [post('Content-Length: 2\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 400],
      [post('Content-Length: 2\r\nContent-Length: 3', '{}'), 400],
      [post('Content-Length: +5', '{}'), 400],
      [post('Transfer-Encoding: xchunked', '0\r\n\r\n'), 400],
      [post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'), 400],
      ['GET /livez HTTP/1.1\r\n\r\n', 400],
      ['GET /livez HTTP/1.1\r\nHost: localhost\r\nExpect: 200-ok\r\n\r\n', 400],
      ['GET /livez HTTP/1.1\r\nHost: a@b\r\nConnection: close\r\n\r\n', 400],
      ['CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n', 405],
      [post('Content-Type: application/json\r\nTransfer-Encoding: chunked', 'FFFFFFFFFFFFFFFFF\r\n'), 400],
      [post('Content-Type: application/json\r\nContent-Length: 99999999999', 'x'), 413],
    ];
    for (const [bytes, status] of cases) {
      const answer = await exchange(bytes);
      expect([bytes.slice(0, 90), statusOf(answer)]).toEqual([bytes.slice(0, 90), status]);
      expect(answer.toLowerCase()).toContain('content-type: application/problem+json');
    }
  });

  it('rejects a malformed request after the answer to the previous request', async () => {
    const answer = await exchange(
      `${post('Content-Type: application/json\r\nContent-Length: 2', '{}')}nonsense\r\n\r\n`,
    );
    expect([...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status)).toEqual(['422', '400']);
  });

  it('stops reading a chunked body at the limit', async () => {
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    const answer = await exchange(
      post('Content-Type: application/json\r\nTransfer-Encoding: chunked', chunk.repeat(20)),
    );
    expect(statusOf(answer)).toBe(413);
  });

  it('times out a request whose headers do not arrive', async () => {
    const startedAt = performance.now();
    expect(statusOf(await exchange('GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: '))).toBe(408);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('stops polling for a watcher that has disconnected', async () => {
    const { runWatcher } = api.dependencies.app;
    const controller = new AbortController();
    const stream = await fetch(`${server.url}/v1/runs/${runId}/progress`, { signal: controller.signal });
    await stream.body?.getReader().read();
    expect(runWatcher.watchers(runId)).toBe(1);
    controller.abort();
    await expect.poll(() => runWatcher.watchers(runId)).toBe(0);
  });

  it('says what to do if the port is in use', async () => {
    await expect(startServer({ fetch: api.app.fetch, host: '127.0.0.1', port: server.port })).rejects.toThrow(
      /set PORT/,
    );
  });

  // This must be the last test: afterwards the API is drained.
  it('finishes requests in progress, ends streams and accepts no more connections', async () => {
    let arrived = 0;
    const counted = await startServer({
      fetch(request) {
        arrived += 1;
        return api.app.fetch(request);
      },
      host: '127.0.0.1',
      port: 0,
    });
    const stream = await fetch(`${counted.url}/v1/runs/${runId}/progress`);
    const progress = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    let told = '';
    while (!told.includes('event: progress')) {
      const { done, value = '' } = (await progress?.read()) ?? { done: true };
      if (done) throw new Error(`the stream ended; it said ${told}`);
      told += value;
    }
    const answers = Array.from({ length: 20 }, (_, i) =>
      fetch(`${counted.url}/v1/predictions/repurchase/${(i % 9) + 1}`, { headers: { 'cache-control': 'no-cache' } }),
    );
    // Requests that arrive after the close are refused, as expected.
    await expect.poll(() => arrived, { interval: 1 }).toBe(21);
    api.dependencies.app.readiness.drain();
    api.dependencies.app.runWatcher.close();
    const closed = counted.close(20_000);
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(20).fill(200));
    while (!(await progress?.read())?.done);
    expect(await closed).toBe(true);
    await expect(fetch(`${counted.url}/livez`)).rejects.toThrow();
  });
});
