import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RolloutView, variantOf } from '../client.ts';
import { createRolloutsApi, type RolloutsApi } from './rollouts-api.fixture.ts';

const PATH = '/v1/predictors/repurchase/rollouts';
const ANALYSIS = {
  ...{ automatic: true, dryRun: false, interval: '1m', minStep: '10m', minUsers: 200, alpha: 0.05, errorRate: 0.01 },
  ...{ slowShare: 0.05, slow: '100ms', liveShare: null, staleShare: 0.05, defaultShare: null, psi: null, outcomes: [] },
  ...{ holdDeadline: '7d', preparingDeadline: '1d', onDeadline: 'alert' },
};
const OUTCOME = {
  name: 'order',
  kind: 'sum',
  window: '7d',
  better: 'lower',
  guardrail: true,
  minimumEffect: 0.02,
  cap: 500,
};

let api: RolloutsApi;
beforeAll(async () => {
  api = await createRolloutsApi();
});
afterAll(() => api?.close());

describe('a rollout is started', () => {
  it('as a canary with the default of each missing setting, and a run for its arm is created', async () => {
    const rollout = await api.start({ kind: 'canary', version: '1' });
    expect(rollout).toMatchObject({
      ...{ predictor: 'repurchase', rollout: '1', kind: 'canary', state: 'preparing', step: 0, percent: 0 },
      ...{ createdBy: 'api', stepStartedAt: null, endedAt: null },
      arms: [{ variant: 'candidate', modelVersion: '1', generation: null, percent: 0 }],
    });
    expect(rollout.plan).toEqual({
      kind: 'canary',
      version: '1',
      steps: [1, 5, 25, 50, 100],
      atOnce: false,
      coverage: 'required',
      analysis: ANALYSIS,
    });
    const { runs } = (await (await api.get('/v1/runs?limit=1')).json()) as { runs: unknown[] };
    expect(runs).toMatchObject([{ scope: 'all', modelVersion: '1', reason: 'rollout', state: 'planned' }]);
  });

  it.each([
    {
      kind: 'canary',
      version: '1',
      steps: [0.5, 12.34, 100],
      atOnce: false,
      coverage: 'live',
      analysis: {
        ...{ automatic: false, dryRun: true, interval: '30s', minStep: '1500ms', minUsers: 50, alpha: 0.01 },
        ...{ errorRate: null, slowShare: 0.5, slow: '50ms', liveShare: 0.1, psi: 0.1, outcomes: [OUTCOME] },
        ...{
          staleShare: null,
          defaultShare: 0.02,
          holdDeadline: null,
          preparingDeadline: '2h',
          onDeadline: 'roll_back',
        },
      },
    },
    { kind: 'shadow', version: '1', share: 1, maxPerSecond: 2.5 },
    {
      kind: 'ab',
      arms: [{ variant: 'second', version: '1', weight: 33.33 }],
      coverage: 'live',
      analysis: { ...ANALYSIS, outcomes: [OUTCOME, { ...OUTCOME, name: 'return' }] },
    },
  ])('with all settings, which the answer shows: $kind', async (plan) => {
    expect((await api.start(plan)).plan).toEqual(plan);
  });

  it('with a note on the users that each guardrail outcome needs', async () => {
    const analysis = { outcomes: [{ name: 'order', guardrail: true }] };
    expect(await api.start({ kind: 'canary', version: '1', analysis })).toMatchObject({
      notes: ['order: there is not enough data to estimate the users that a step needs'],
    });
    expect(await api.start({ kind: 'canary', version: '1' })).toMatchObject({ notes: [] });
    const capped = { outcomes: [{ name: 'order', cap: 500 }] };
    const rejected = await api.post(PATH, { kind: 'canary', version: '1', analysis: capped });
    expect([rejected.status, await rejected.text()]).toEqual([422, expect.stringContaining('a cap needs the kind')]);
  });

  it('also if the users that an outcome needs cannot be estimated', async () => {
    const analysis = { outcomes: [{ name: 'order', guardrail: true }] };
    const other = await api.pool.connect();
    await other.query('begin; lock table tandem.read_demand in access exclusive mode');
    try {
      expect((await api.start({ kind: 'canary', version: '1', analysis })).notes).toEqual([
        "the users that a step needs could not be estimated; the service's log says why",
      ]);
    } finally {
      await other.query('rollback');
      other.release();
    }
  });

  it('once for a predictor; the rejection of a second one says how to end the first', async () => {
    await api.start({ kind: 'shadow', version: '1' });
    const second = await api.post(PATH, { kind: 'canary', version: '1' });
    expect([second.status, await second.json()]).toMatchObject([
      409,
      {
        type: 'urn:tandem:problem:rollout_conflict',
        remedy: expect.stringContaining('tandem rollout abort repurchase'),
      },
    ]);
  });
});

const canary = (more: object) => ({ kind: 'canary', version: '1', ...more });
const analysis = (more: object) => canary({ analysis: more });
const ab = (...arms: readonly (readonly [variant: string, version: string, weight: number])[]) => ({
  kind: 'ab',
  arms: arms.map(([variant, version, weight]) => ({ variant, version, weight })),
});
const outcome = (more: object) => analysis({ outcomes: [{ name: 'order', ...more }] });

describe('a rollout is refused, at the field that is wrong', () => {
  beforeAll(async () => {
    for (const { id } of await api.rollouts.active()) {
      await api.rollouts.abort(id, { actor: 'test', reason: 'unused' });
    }
  });

  it.each<[string, unknown, number, string | undefined]>([
    ['no kind', { version: '1' }, 422, 'kind'],
    ['an unknown kind', { kind: 'blue-green', version: '1' }, 422, 'kind'],
    ['no version', { kind: 'canary' }, 422, 'version'],
    ['a version as a JSON number', canary({ version: 1 }), 422, 'version'],
    ['a version of 12 digits', canary({ version: '100000000000' }), 422, 'version'],
    ['an unknown version', canary({ version: '7' }), 404, 'version'],
    ['the served version', canary({ version: '2' }), 422, 'version'],
    ['steps that fall', canary({ steps: [5, 1, 100] }), 422, 'steps'],
    ['a step twice', canary({ steps: [5, 5, 100] }), 422, 'steps'],
    ['steps that end before 100', canary({ steps: [5, 50] }), 422, 'steps'],
    ['a step above 100', canary({ steps: [5, 101] }), 422, 'steps[1]'],
    ['a step finer than a bucket', canary({ steps: [1.001, 100] }), 422, 'steps[0]'],
    ['no steps', canary({ steps: [] }), 422, 'steps'],
    ['steps to skip', canary({ steps: [5, 100], atOnce: true }), 422, 'atOnce'],
    ['atOnce for a version that was never stable', canary({ atOnce: true }), 409, 'atOnce'],
    ['an unknown field', canary({ weight: 5 }), 422, 'weight'],
    ['an unknown setting of the analysis', analysis({ patience: 1 }), 422, 'analysis.patience'],
    ['arms of a canary', canary({ arms: [] }), 422, 'arms'],
    ['weights above 100', ab(['second', '1', 60], ['third', '1', 40.01]), 422, 'arms'],
    ['a weight finer than a bucket', ab(['second', '1', 50.005]), 422, 'arms[0].weight'],
    ['an arm named stable', ab(['stable', '1', 50]), 422, 'arms[0].variant'],
    ['an arm with other letters than ASCII', ab(['Ärm', '1', 50]), 422, 'arms[0].variant'],
    ['two arms with one name', ab(['b', '1', 5], ['b', '2', 5]), 422, 'arms'],
    ['two arms with one version', ab(['b', '1', 5], ['c', '1', 5]), 422, 'arms[1].version'],
    ['an arm with an unknown version', ab(['b', '9', 5]), 404, 'arms[0].version'],
    ['no arms', ab(), 422, 'arms'],
    ['an outcome with an invalid name', outcome({ name: '1st' }), 422, 'analysis.outcomes[0].name'],
    ['an outcome of an unknown kind', outcome({ kind: 'mean' }), 422, 'analysis.outcomes[0].kind'],
    ['a window of a hundred days', outcome({ window: '100d' }), 422, 'analysis.outcomes[0].window'],
    ['a window of length 0', outcome({ window: '0s' }), 422, 'analysis.outcomes[0].window'],
    ['a window without a unit', outcome({ window: '14' }), 422, 'analysis.outcomes[0].window'],
    ['an outcome twice', analysis({ outcomes: [{ name: 'order' }, { name: 'order' }] }), 422, 'analysis.outcomes'],
    ['an interval that is too long', analysis({ interval: '999999999d' }), 422, 'analysis.interval'],
    ['an interval that is too short', analysis({ interval: '999ms' }), 422, 'analysis.interval'],
    ['a minimum step that is too long', analysis({ minStep: '91d' }), 422, 'analysis.minStep'],
    ['a slow limit above the counted range', analysis({ slow: '1h' }), 422, 'analysis.slow'],
    ['a minimum of users that is too small', analysis({ minUsers: 9 }), 422, 'analysis.minUsers'],
    ['a share of a shadow above 1', { kind: 'shadow', version: '1', share: 1.1 }, 422, 'share'],
    ['an analysis of a shadow', { kind: 'shadow', version: '1', analysis: {} }, 422, 'analysis'],
    ['a list', [], 422, undefined],
    ['a body above the size limit', canary({ version: '1'.repeat(1_100_000) }), 413, undefined],
  ])('%s', async (_, body, status, field) => {
    const response = await api.post(PATH, body);
    const problem = (await response.json()) as { field?: string; remedy?: string };
    expect([response.status, problem.field]).toEqual([status, field]);
    expect(problem.remedy).toBeTruthy();
  });

  it('for an unknown predictor, and for another media type', async () => {
    const unknown = await api.post('/v1/predictors/nothing/rollouts', canary({}));
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { field: 'predictor' }]);
    const text = await api.post(PATH, JSON.stringify(canary({})), { 'content-type': 'text/plain' });
    expect(text.status).toBe(415);
    expect(await api.rollouts.active()).toEqual([]);
  });
});

it('a client computes the same arm for every user as the service', async () => {
  const arms = [{ variant: 'second', version: '1', weight: 40 }];
  const { id } = await api.start({ kind: 'ab', arms, coverage: 'live' });
  await api.begin(id);
  const rollout = (await (await api.get(`/v1/rollouts/${id}`)).json()) as RolloutView;
  const userIds = Array.from({ length: 20 }, (_, i) => `${i + 1}`);
  const { results } = (await (await api.post('/v1/predictions/repurchase', { userIds })).json()) as {
    results: { userId: string; variant: string }[];
  };
  const served = results.filter(({ variant }) => variant).map(({ userId, variant }) => [userId, variant]);
  expect(served.length).toBeGreaterThan(5);
  expect(served).toEqual(served.map(([userId = '']) => [userId, variantOf(rollout, userId)]));
  // Many more users are checked, because the few served users may be in one arm by chance.
  const many = Array.from({ length: 1_000 }, (_, i) => `${i + 1}`);
  expect(new Set(many.map((userId) => variantOf(rollout, userId)))).toEqual(new Set(['stable', 'second']));
});
