import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { createMetrics } from '@tandem/telemetry/metrics';
import { afterEach, describe, expect, it } from 'vitest';
import { type HealthServer, startHealthServer } from './health-server.ts';

let server: HealthServer;
const faults: unknown[] = [];
afterEach(async () => {
  await server.close();
  expect(faults.splice(0)).toEqual([]);
});

async function start(whyDead: string | null, hostNames: readonly string[] = [], host = '127.0.0.1') {
  const metrics = createMetrics({ app: 'worker', processMetrics: false });
  server = await startHealthServer({
    host,
    port: 0,
    hostNames,
    metrics,
    whyDead: () => whyDead,
    onFault: (error) => void faults.push(error),
  });
  return (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${server.port}${path}`, init);
}

/** Sends exactly these lines, and returns everything that the server sends until the connection ends. */
async function send(...lines: readonly string[]): Promise<string> {
  return sendTo('127.0.0.1', ...lines);
}

async function sendTo(address: string, ...lines: readonly string[]): Promise<string> {
  const socket = connect(server.port, address);
  socket.write(`${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`);
  return text(socket);
}

/** Returns the status of the answer to a request line. */
async function statusOf(line: string, host = 'localhost'): Promise<number> {
  return Number((await send(line, `Host: ${host}`)).split(' ')[1]);
}

describe('a health server', () => {
  it('answers 200 while the worker is alive, and otherwise says why it is not', async () => {
    expect((await (await start(null))('/livez')).status).toBe(200);
    await server.close();
    const dead = await (await start('5 scoring jobs wait'))('/livez');
    expect(dead.status).toBe(503);
    expect(await dead.text()).toMatch('5 scoring jobs wait');
  });

  it('serves the metrics in the Prometheus format', async () => {
    const answer = await (await start(null))('/metrics');
    expect(answer.headers.get('content-type')).toMatch('text/plain');
    expect(await answer.text()).toMatch('# TYPE tandem_chunks_total counter');
  });

  it('answers GET and HEAD on its two paths, and rejects all other requests in plain text', async () => {
    const ask = await start(null);
    const head = await ask('/livez', { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const unknown = await ask('/');
    expect([unknown.status, await unknown.text()]).toEqual([404, expect.stringContaining('/livez')]);
    for (const path of ['/livez', '/metrics', '/']) {
      const posted = await ask(path, { method: 'POST' });
      expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
      expect(posted.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    }
  });

  it('answers requests with a target that is not a URL', async () => {
    await start(null);
    const targets = ['//', '//livez', '///', '/\\', '/%', 'http://localhost/livez', 'http://', '*', '/livez?a=%zz'];
    const statuses = await Promise.all(targets.map((target) => statusOf(`GET ${target} HTTP/1.1`)));
    expect(Object.fromEntries(targets.map((target, i) => [target, statuses[i]]))).toEqual({
      '//': 404,
      '//livez': 404,
      '///': 404,
      '/\\': 400,
      '/%': 404,
      'http://localhost/livez': 200,
      'http://': 400,
      '*': 404,
      '/livez?a=%zz': 200,
    });
    expect(await statusOf('CONNECT localhost:443 HTTP/1.1')).toBe(405);
    expect(await statusOf('NONSENSE')).toBe(400);
    expect(await statusOf('GET /livez HTTP/1.1')).toBe(200);
  });

  it('refuses a Host that is neither loopback nor configured', async () => {
    await start(null, ['worker.internal']);
    for (const path of ['/livez', '/metrics', '/nothing']) {
      expect(await statusOf(`GET ${path} HTTP/1.1`, 'evil.example')).toBe(403);
    }
    expect(await statusOf('GET /livez HTTP/1.1', 'worker.internal:9090')).toBe(200);
    expect(await send('GET /livez HTTP/1.1')).toMatch(/^HTTP\/1\.1 400 /);
  });

  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
    ['::', '::1'],
  ])('answers an HTTP/1.0 request without Host where it listens on %s', async (host, address) => {
    await start(null, [], host);
    expect(await sendTo(address, 'GET /livez HTTP/1.0')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await sendTo(address, 'GET /livez HTTP/1.1', 'Host: [::1]:9090')).toMatch(/^HTTP\/1\.1 200 /);
    const foreign = await sendTo(address, 'GET /livez HTTP/1.1', 'Host: evil.example');
    expect(foreign).toMatch(host === '::' ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 403 /);
  });

  it('refuses a header section above 8 KiB', async () => {
    await start(null);
    expect(await send('GET /livez HTTP/1.1', 'Host: localhost', `X: ${'x'.repeat(9_000)}`)).toMatch(/^HTTP\/1\.1 431 /);
  });
});
