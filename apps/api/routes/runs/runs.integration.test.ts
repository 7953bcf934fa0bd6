import { isFinished } from '@tandem/prediction/runs/runs';
import { RunEventSchema, RunSchema, type RunView } from '@tandem/wire/runs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, scoreOf, type TestApi, workOff } from '../../api.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

async function start(scope: unknown): Promise<RunView> {
  const response = await api.post('/v1/runs', { predictor: 'repurchase', scope });
  expect(response.status).toBe(202);
  const run = (await response.json()) as RunView;
  expect(response.headers.get('location')).toBe(`/v1/runs/${run.id}`);
  return run;
}
const show = async (id: string) =>
  (await (await api.get(`/v1/runs/${id}`)).json()) as RunView & { failures: unknown[] };

/** Opens the progress stream of a run. The returned function reads to the first event, or to the end. */
async function watch(id: string): Promise<(until?: string) => Promise<string>> {
  const { body, headers } = await api.get(`/v1/runs/${id}/progress`, { accept: 'text/event-stream' });
  expect(headers.get('content-type')).toBe('text/event-stream');
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
  return async (until) => {
    for (let told = ''; ; ) {
      const { done = true, value = '' } = (await reader?.read()) ?? {};
      told += value;
      if (done || (until !== undefined && told.includes(until))) return told;
    }
  };
}

/** Returns the events of a progress stream. */
function eventsOf(stream: string): { event: string; run: RunView }[] {
  const blocks = stream.split('\n\n').filter((block) => block.startsWith('event: '));
  return blocks.map((block) => {
    const [, event = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
    RunEventSchema.parse({ event, data });
    RunSchema.parse(JSON.parse(data));
    return { event, run: JSON.parse(data) as RunView };
  });
}

describe('runs', () => {
  it('starts a run, shows its progress to the end, and serves its predictions', async () => {
    const run = await start('all');
    expect(run).toMatchObject({
      predictor: 'repurchase',
      scope: 'all',
      state: 'planned',
      reason: 'api',
      modelVersion: '1',
    });
    const read = await watch(run.id);
    // Otherwise the run may end before its first event.
    const first = await read('event: ');
    await workOff(api, run.id);
    const events = eventsOf(first + (await read()));
    expect(events[0]?.event).toBe('progress');
    expect(events.at(-1)).toMatchObject({ event: 'end', run: { state: 'done', usersScored: 9, generation: '1' } });
    expect(events.filter(({ run: { state } }) => isFinished(state))).toHaveLength(1);
    expect(await show(run.id)).toMatchObject({ state: 'done', usersScored: 9, usersFailed: 0, failures: [] });
    const answer = await api.get('/v1/predictions/repurchase/9');
    expect(await answer.json()).toMatchObject({
      source: 'batch',
      reason: 'fresh',
      generation: '1',
      prediction: { score: expect.closeTo(scoreOf(90, 9), 5) },
    });
  });

  it('rejects a second run of all users during the first, and cancels and resumes the first', async () => {
    const run = await start('all');
    const second = await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' });
    expect([second.status, await second.json()]).toMatchObject([409, { type: 'urn:tandem:problem:run_conflict' }]);
    const cancelled = await api.post(`/v1/runs/${run.id}/cancel`);
    expect([cancelled.status, await cancelled.json()]).toMatchObject([200, { state: 'cancelled' }]);
    expect((await api.post(`/v1/runs/${run.id}/cancel`)).status).toBe(409);
    const resumed = await api.post(`/v1/runs/${run.id}/resume`);
    expect(resumed.status).toBe(202);
    expect((await api.post(`/v1/runs/${run.id}/resume`)).status).toBe(409);
    await workOff(api, run.id);
    expect(await show(run.id)).toMatchObject({ state: 'done', generation: '2' });
  });

  it('scores each named user once', async () => {
    const run = await start({ userIds: ['1', '2', '1'] });
    await workOff(api, run.id);
    expect(await show(run.id)).toMatchObject({ scope: 'users', state: 'done', usersScored: 2, generation: null });
  });

  it('lists runs newest first, in pages without gaps or duplicates', async () => {
    const all = ((await (await api.get('/v1/runs?limit=100')).json()) as { runs: RunView[] }).runs.map(({ id }) => id);
    const paged: string[] = [];
    for (let next: string | null = ''; next !== null; ) {
      const page = (await (
        await api.get(`/v1/runs?limit=2${next && `&before=${next}`}&predictor=repurchase`)
      ).json()) as {
        runs: RunView[];
        next: string | null;
      };
      paged.push(...page.runs.map(({ id }) => id));
      next = page.next;
    }
    expect(paged).toEqual(all);
    expect(paged).toHaveLength(3);
  });

  it('lists generations, and rolls back to the previous one from the next read on', async () => {
    const list = async () =>
      ((await (await api.get('/v1/predictors/repurchase/generations')).json()) as { generations: unknown[] })
        .generations;
    expect(await list()).toMatchObject([
      { generation: '2', inForce: true, state: 'published', users: 9 },
      { generation: '1', inForce: false },
    ]);
    expect(await (await api.get('/v1/predictions/repurchase/5')).json()).toMatchObject({ generation: '2' });
    const back = await api.post('/v1/predictors/repurchase/rollback');
    expect([back.status, await back.json()]).toMatchObject([
      200,
      { from: { generation: '2' }, to: { generation: '1', inForce: true } },
    ]);
    expect(await (await api.get('/v1/predictions/repurchase/5')).json()).toMatchObject({
      source: 'batch',
      generation: '1',
    });
    const forth = await api.post('/v1/predictors/repurchase/rollback', { to: '2' });
    expect(await forth.json()).toMatchObject({ to: { generation: '2' } });
    const nowhere = await api.post('/v1/predictors/repurchase/rollback', { to: '7' });
    expect([nowhere.status, await nowhere.json()]).toMatchObject([
      404,
      { type: 'urn:tandem:problem:unknown_generation', field: 'to' },
    ]);
  });

  it.each<[string, unknown, number, string | undefined]>([
    ['/v1/runs', { predictor: 'nothing', scope: 'all' }, 404, 'predictor'],
    ['/v1/runs', { predictor: 'repurchase', scope: 'some' }, 422, 'scope'],
    ['/v1/runs', { predictor: 'repurchase' }, 422, 'scope'],
    ['/v1/runs', { predictor: 'repurchase', scope: { userIds: ['1', '02'] } }, 422, 'scope.userIds[1]'],
    ['/v1/runs', { predictor: 'repurchase', scope: 'all', reason: 'x' }, 422, 'reason'],
    ['/v1/runs/00000000-0000-0000-0000-000000000000/resume', undefined, 404, 'runId'],
    ['/v1/predictors/repurchase/rollback', { to: 1 }, 422, 'to'],
    ['/v1/predictors/repurchase/rollback', { generation: '1' }, 422, 'generation'],
  ])('rejects POST %s %j with %i at %s', async (path, body, status, field) => {
    const response = await api.post(path, body);
    expect([response.status, ((await response.json()) as { field?: string }).field]).toEqual([status, field]);
  });

  it.each([
    ['/v1/runs?limit=0', 422],
    ['/v1/runs?limit=101', 422],
    ['/v1/runs?before=x', 422],
    ['/v1/runs?before=00000000-0000-0000-0000-000000000000', 404],
    ['/v1/runs?predictor=nothing', 404],
    ['/v1/runs?limit=1&limit=2', 400],
  ])('rejects GET %s with %i', async (path, status) => {
    expect((await api.get(path, { accept: '*/*' })).status).toBe(status);
  });
});
