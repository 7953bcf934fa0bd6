/** Checks the service without extensions: it reads, takes events, infers live, runs and erases. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApi, type TestApi, workOff } from '../../apps/api/api.fixture.ts';
import { createProgram } from '../../apps/cli/program.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi({}, undefined, undefined, { extensions: [] });
});
afterAll(() => api?.close());

const read = async (userId: string) => (await api.get(`/v1/predictions/repurchase/${userId}`)).json();

it('serves no path of an extension', async () => {
  const { paths } = (await (await api.get('/openapi.json')).json()) as { paths: Record<string, unknown> };
  expect(Object.keys(paths).length).toBeGreaterThan(25);
  expect(Object.keys(paths).filter((path) => /^\/v2|outcomes|rollouts/.test(path))).toEqual([]);
  for (const path of ['/v1/rollouts', '/v2']) {
    expect(await (await api.get(path)).json()).toMatchObject({ type: expect.stringContaining('no_such_path') });
  }
});

it('runs a batch, answers from it, and infers after an event', async () => {
  const started = await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' });
  const { id } = (await started.json()) as { id: string };
  await workOff(api, id);
  expect(await read('1')).toMatchObject({ source: 'batch', reason: 'fresh', generation: '1' });
  const event = {
    specversion: '1.0',
    id: 'e1',
    source: '/test',
    type: 'order.placed',
    subject: '1',
    data: { orders: 7 },
  };
  const sent = await api.post('/v1/events', event, { 'content-type': 'application/cloudevents+json' });
  expect(sent.status).toBe(202);
  expect(await read('1')).toMatchObject({ source: 'live', reason: 'context_newer' });
});

it('erases a user', async () => {
  await read('2');
  expect((await api.app.request('/v1/users/2', { method: 'DELETE' })).status).toBe(200);
  expect(await read('2')).toMatchObject({ type: expect.stringContaining('unknown_user') });
});

it('has a command line without commands of extensions', () => {
  const names = createProgram({} as Parameters<typeof createProgram>[0], []).commands.map((one) => one.name());
  expect(names).toContain('predict');
  expect(names).not.toContain('rollout');
});
