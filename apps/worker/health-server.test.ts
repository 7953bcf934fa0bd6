import { createMetrics } from '@tandem/telemetry/metrics';
import { afterEach, expect, it } from 'vitest';
import { type HealthServer, startHealthServer } from './health-server.ts';

let server: HealthServer;
afterEach(() => server.close());

async function start(whyDead: string | null) {
  const metrics = createMetrics({ app: 'worker', processMetrics: false });
  server = await startHealthServer({ host: '127.0.0.1', port: 0, metrics, whyDead: () => whyDead });
  return (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${server.port}${path}`, init);
}

it('is alive while the worker is, and says why it is not', async () => {
  expect((await (await start(null))('/livez')).status).toBe(200);
  await server.close();
  const dead = await (await start('5 scoring jobs wait'))('/livez');
  expect(dead.status).toBe(503);
  expect(await dead.text()).toMatch('5 scoring jobs wait');
});

it('gives the metrics in the Prometheus format', async () => {
  const answer = await (await start(null))('/metrics');
  expect(answer.headers.get('content-type')).toMatch('text/plain');
  expect(await answer.text()).toMatch('# TYPE tandem_chunks_total counter');
});

it('answers nothing else', async () => {
  const ask = await start(null);
  expect((await ask('/')).status).toBe(404);
  expect((await ask('/livez', { method: 'POST' })).status).toBe(405);
});
