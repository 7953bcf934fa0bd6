import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { SEND_OBJECT } from '@tandem/wire/problem';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../../../apps/cli/program.fixture.ts';
import { PLAN_EXAMPLE } from '../wire/rollout-plan.ts';

describe('tandem rollout start', () => {
  it.each([
    ['', 'no model version is given'],
    ['2 --shadow --steps 5,100', '--steps does not apply to a shadow'],
    ['2 --shadow --min-users 50', '--min-users does not apply to a shadow'],
    ['2 --shadow --psi off', '--psi does not apply to a shadow'],
    ['2 --outcome-window 2d', '--outcome-window requires --outcome'],
    ['2 --cap 500', '--cap requires --outcome'],
    ['2 --minimum-effect 0.2', '--minimum-effect requires --outcome'],
    ['2 --shadow --cap 500', '--cap does not apply to a shadow'],
    ['2 --shadow --hold-deadline 1h', '--hold-deadline does not apply to a shadow'],
    ['2 --at-once --steps 5,100', '--steps has no effect with --at-once'],
    ['2 --at-once --min-step 1h', '--min-step has no effect with --at-once'],
    ['2 --share 0.5', '--share does not apply to a canary'],
    ['2 --max-per-second 5', '--max-per-second does not apply to a canary'],
    ['--arm b=2:50 --shadow', '--shadow does not apply to an A/B test'],
    ['--arm b=2:50 --steps 100', '--steps does not apply to an A/B test'],
    ['3 --arm b=2:50', 'an A/B test has its model versions in --arm'],
  ])('%s is rejected before any request, because it would have no effect', async (options, problem) => {
    const { code, out, err } = await run(`rollout start repurchase ${options}`);
    expect([code, out, err.split('\n')[0]]).toEqual([2, '', `tandem: ${problem}`]);
  });

  it.each([
    '--arm b=2',
    '--arm Stable=2:50',
    '--steps 5,x',
    '--share much',
    '--min-users -',
    '--psi no',
    '--on-deadline never',
  ])('%s is rejected with the expected form', async (options) => {
    expect(await run(`rollout start repurchase 2 ${options}`)).toMatchObject({ code: 2, out: '' });
  });
});

it.each(['abc', '0', '1.5', 'v2'])(
  'the version %s is rejected with the command that lists versions',
  async (version) => {
    const problem = `tandem: "${version}" is not the number of a model version`;
    expect(await run(`rollout start repurchase ${version}`)).toEqual({
      code: 2,
      out: '',
      err: `${problem}\n  give a number that tandem model list shows, such as 2\n`,
    });
  },
);

describe('the steps of a canary', () => {
  it.each([
    ['50', '50,100'],
    ['50,5', '5,50,100'],
    ['5,5,100', '5,100'],
    ['0,20', '20,100'],
    ['120', '100'],
  ])('--steps %s is rejected with the option to write', async (steps, example) => {
    const { code, err } = await run(`rollout start repurchase 2 --steps ${steps}`);
    const problem = `the percentages must ascend, and the last must be 100, such as --steps ${example}.`;
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(problem) });
  });
});

describe('a started rollout', () => {
  const ROLLOUT = {
    ...{ id: 'r', predictor: 'repurchase', rollout: '1', kind: 'canary', state: 'preparing', reason: 'waits', step: 0 },
    ...{ percent: 0, stepStartedAt: null, arms: [], salt: 's', createdBy: 'api', endedAt: null },
    createdAt: '2026-11-24T02:00:00.000Z',
  };
  let server: Server;
  let url: string;
  let asked: unknown[];
  let notes: readonly string[] | undefined;
  let refusal: Readonly<Record<string, string>> | undefined;
  beforeEach(async () => {
    asked = [];
    refusal = undefined;
    notes = ['order: \u001b[2J needs users'];
    server = createServer(async (request, response) => {
      asked.push(await json(request));
      const outcomes = [{ name: 'order', window: '14d', guardrail: true }];
      const plan = { ...PLAN_EXAMPLE, analysis: { ...PLAN_EXAMPLE.analysis, outcomes } };
      if (refusal) {
        const problem = { type: 'urn:tandem:problem:invalid_input', title: 'no', status: 422, ...refusal };
        response.writeHead(422, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
        return;
      }
      response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ ...ROLLOUT, plan, notes }));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => server.close());

  it('is requested with its limit of the shift and its window, and shows its least duration', async () => {
    const options = '--outcome order --outcome-window 2d --psi 0.25';
    const { code, out } = await run(`rollout start repurchase 2 ${options} --url ${url}`);
    expect(code).toBe(0);
    expect(asked).toEqual([
      {
        ...{ kind: 'canary', version: '2' },
        analysis: { psi: 0.25, outcomes: [{ name: 'order', guardrail: true, window: '2d' }] },
      },
    ]);
    expect(out).toMatch(/note: order: .*needs users/);
    expect(out).not.toContain('\u001b');
    expect(out).toContain(
      'note: the rollout takes at least 56 days: 4 steps below 100 % each wait for the window of order, 14d',
    );
  });

  it('is judged by the smallest effect of --minimum-effect', async () => {
    expect((await run(`rollout start repurchase 2 --outcome order --minimum-effect 0.2 --url ${url}`)).code).toBe(0);
    expect(asked).toEqual([
      {
        ...{ kind: 'canary', version: '2' },
        analysis: { outcomes: [{ name: 'order', guardrail: true, minimumEffect: 0.2 }] },
      },
    ]);
  });

  it.each([
    ['analysis.minUsers', 'correct --min-users'],
    ['analysis.outcomes[0].window', 'correct --outcome-window'],
    ['analysis.outcomes[0].name', 'correct --outcome'],
    ['arms[1].weight', 'correct --arm'],
    ['version', 'correct <version>'],
    ['analysis.alpha', 'see tandem rollout start --help'],
  ])('is rejected with the option in place of the field %s of its request', async (field, remedy) => {
    refusal = {
      field,
      detail: `${field}: wrong.`,
      remedy: `${SEND_OBJECT}, such as {"kind":"canary","version":"3"}`,
    };
    const { code, err } = await run(`rollout start repurchase 2 --url ${url}`);
    expect({ code, err }).toEqual({ code: 1, err: `tandem: ${field}: wrong.\n  ${remedy}\n` });
  });

  it('is shown without notes if an API of an earlier release sends none', async () => {
    notes = undefined;
    const { code, out } = await run(`rollout start repurchase 2 --url ${url}`);
    expect([code, out]).toEqual([0, expect.stringContaining('note: the rollout takes at least 56 days')]);
  });

  it('is judged by capped sums with --cap', async () => {
    expect((await run(`rollout start repurchase 2 --outcome order --cap 500 --url ${url}`)).code).toBe(0);
    expect(asked).toEqual([
      {
        ...{ kind: 'canary', version: '2' },
        analysis: { outcomes: [{ name: 'order', guardrail: true, kind: 'sum', cap: 500 }] },
      },
    ]);
  });

  it('is requested with the shift switched off', async () => {
    expect((await run(`rollout start repurchase 2 --psi off --url ${url}`)).code).toBe(0);
    expect(asked).toEqual([{ kind: 'canary', version: '2', analysis: { psi: null } }]);
  });
});
