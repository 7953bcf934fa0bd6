import type { ProcessView } from '@tandem/client/wire';
import { PROTOCOL } from '@tandem/freshness/protocol';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createTestApi, type TestApi } from '../../api.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

const list = async () => (await (await api.get('/v1/processes')).json()) as { processes: readonly ProcessView[] };

describe('GET /v1/processes', () => {
  it('lists this process with the stable version, which it has loaded', async () => {
    // The start of the API does not wait for the load without a limit.
    const { processes } = await vi.waitFor(async () => {
      const listed = await list();
      expect(listed.processes[0]?.models[0]?.state).toBe('ready');
      return listed;
    }, 60_000);
    expect(processes).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        kind: 'api',
        host: expect.stringMatching(/./),
        pid: process.pid,
        release: expect.stringMatching(/^\d+\.\d+\.\d+$/),
        protocol: PROTOCOL,
        startedAt: expect.stringMatching(/^\d{4}-.*Z$/),
        seenAt: expect.stringMatching(/^\d{4}-.*Z$/),
        models: [
          {
            predictor: 'repurchase',
            modelVersion: '1',
            state: 'ready',
            error: null,
            since: expect.stringMatching(/Z$/),
          },
        ],
      },
    ]);
  });

  it('omits processes without a recent heartbeat', async () => {
    await api.pool.query(
      "insert into tandem.processes values (gen_random_uuid(), 'api', 'gone', 1, '0.1.0', now(), now() - interval '15 s')",
    );
    expect((await list()).processes).toHaveLength(1);
  });
});
