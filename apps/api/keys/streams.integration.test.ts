/** Tests that a stream ends when its key is revoked. */
import { revokeApiKey } from '@tandem/offline-store/api-keys';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { bearer, createKeyedApi, type KeyedApi } from './keyed-api.fixture.ts';

const HEARTBEAT_MS = 15_000;

let api: KeyedApi;
beforeAll(async () => {
  api = await createKeyedApi();
  // Only heartbeats use intervals.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterAll(async () => {
  vi.useRealTimers();
  await api?.close();
});

it('sends heartbeats while the key is valid, and ends at the first heartbeat after its revocation', async () => {
  const { key, id } = await api.key({ scopes: ['runs:read', 'runs:write'] });
  const started = await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' }, bearer(key));
  const run = (await started.json()) as { id: string };
  const path = `/v1/runs/${run.id}/progress`;
  const { body } = await api.get(path, { accept: 'text/event-stream', ...bearer(key) });
  if (!body) throw new Error('the stream has no body');
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let seen = '';
  const ended = (async () => {
    for (let part = await reader.read(); !part.done; part = await reader.read()) seen += part.value;
  })();
  await expect.poll(() => seen).toContain('event: progress');
  vi.advanceTimersByTime(HEARTBEAT_MS);
  await expect.poll(() => seen).toContain(': still here');
  await revokeApiKey(api.pool, id);
  await expect.poll(async () => (await api.get(path, bearer(key))).status).toBe(401);
  const before = seen;
  vi.advanceTimersByTime(HEARTBEAT_MS);
  await ended;
  expect(seen).toBe(before);
  expect(api.dependencies.app.runWatcher.watchers(run.id)).toBe(0);
});
