/** Rollouts from the command line, on a service of API and worker. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { linearModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Ran, run } from '../../apps/cli/program.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { until } from './until.fixture.ts';

let deployment: Deployment;
let api: Api;
beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: 200, batch: { chunkSize: 100 } });
  api = await deployment.startApi();
  await deployment.startWorker();
  await deployment.runEveryone(api);
});
afterAll(() => deployment?.close());

/** The questions so far. Each is answered with yes. */
const asked: string[] = [];
const tandem = (line: string, answer?: string): Promise<Ran> =>
  run(line, {
    env: { TANDEM_URL: api.url },
    cwd: deployment.folder,
    ...(answer === undefined
      ? {}
      : {
          ask: async (question) => {
            asked.push(question);
            return answer;
          },
        }),
  });
async function json<T = Record<string, unknown>>(line: string): Promise<T> {
  const { code, out, err } = await tandem(`${line} --json`);
  expect({ line, code, err }).toEqual({ line, code: 0, err: expect.any(String) });
  return JSON.parse(out) as T;
}
/** Pushes a model version whose score is the sigmoid of the user's changes times `weight`. */
async function push(name: string, weight: number): Promise<unknown> {
  await writeFile(join(deployment.folder, `${name}.onnx`), linearModel({ weights: [weight] }));
  await writeFile(join(deployment.folder, 'changes.sql'), 'select user_id, changes from counts');
  return json(`model push ${COUNT} ${name}.onnx --features changes.sql`);
}
const versionOf = async (userId: string) => (await api.client.predict(COUNT, userId)).answer.modelVersion;

it('a model version is pushed, prepared, served to some users, then to all, and rolled back; the audit log has the actor', async () => {
  expect(await push('second', 0.5)).toMatchObject({ modelVersion: '2' });

  const started = await tandem(`rollout start ${COUNT} 2 --steps 50,100 --manual --min-step 1s`);
  expect(started.out).toMatch(
    /^state +preparing: waits for its model versions and their generations\nkind +canary, 0 %/m,
  );
  expect(await tandem(`rollout start ${COUNT} 2`)).toMatchObject({
    code: 1,
    err: expect.stringContaining('tandem rollout abort'),
  });
  const show = () => json<{ state: string; id: string; arms: { generation: string }[] }>(`rollout show ${COUNT}`);
  await until('the rollout is running', async () => (await show()).state === 'running');
  expect(await show()).toMatchObject({ percent: 50, plan: { analysis: { automatic: false, minStep: '1s' } } });

  const users = Array.from({ length: 20 }, (_, i) => String(i + 1));
  const versions = await Promise.all(users.map(versionOf));
  expect(new Set(versions)).toEqual(new Set(['1', '2']));
  const report = await tandem(`rollout report ${COUNT}`);
  expect(report.out).toMatch(/^verdict +hold: /m);
  expect(report.out).toMatch(/^variant +users +reads/m);

  const inStable = users[versions.indexOf('1')] ?? '';
  expect((await tandem(`rollout override ${COUNT} ${inStable} --variant candidate`)).out).toBe(
    `${inStable}: candidate\n`,
  );
  expect(await versionOf(inStable)).toBe('2');
  expect((await tandem(`rollout override ${COUNT} ${inStable}`)).out).toBe('no user is assigned to an arm by hand\n');

  expect(await tandem(`rollout advance ${COUNT}`)).toEqual({
    ...{ code: 2, out: '' },
    err: 'tandem: this command asks for confirmation, but the input is not a terminal\n  add --yes\n',
  });
  expect((await tandem(`rollout hold ${COUNT} --reason lunch`)).out).toMatch(/^state +held: lunch$/m);
  expect((await tandem(`rollout resume ${COUNT}`)).out).toMatch(/^state +running: /m);
  expect(await tandem(`rollout promote ${COUNT}`, 'n')).toMatchObject({
    code: 1,
    err: 'tandem: nothing was changed\n',
  });
  expect((await tandem(`rollout advance ${COUNT}`, 'y')).out).toMatch(/^state +promoted: advance asked for$/m);
  expect(asked).toEqual([
    'count: serve model version 2 to all users (now 50 %)? [y/N] ',
    'count: the candidate serves 50 % of the users. Go to 100 %? [y/N] ',
  ]);
  expect(new Set(await Promise.all(users.map(versionOf)))).toEqual(new Set(['2']));

  expect(await tandem(`version rollback ${COUNT} --to 2 --yes`)).toMatchObject({
    code: 1,
    err: expect.stringContaining('count: model version 2 is already served'),
  });
  expect(await tandem(`version rollback ${COUNT}`)).toMatchObject({ code: 2 });
  const listed = (await tandem(`version list ${COUNT}`)).out.split('\n').map((line) => line.trim().split(/ {2,}/));
  expect(listed.map(([version, , until, , generation]) => [version, until, generation])).toEqual([
    ['version', 'until', 'kept generation'],
    ['2', 'now', '2'],
    ['1', expect.any(String), '1'],
    ['', undefined, undefined],
  ]);
  expect((await tandem(`version rollback ${COUNT} --yes`)).out).toBe(
    'count: model version 1 is served, from generation 1\n',
  );
  expect(new Set(await Promise.all(users.map(versionOf)))).toEqual(new Set(['1']));

  const { rows } = await json<{ rows: { actor: string; action: string; detail: object }[] }>(
    `audit list --predictor ${COUNT}`,
  );
  const moves = rows.map(({ actor, action }) => `${action} by ${actor}`);
  expect(moves.filter((move) => /rollout|arm/.test(move)).reverse()).toEqual([
    ...['create_rollout by api', 'publish by rollout', 'begin_rollout by tandem'],
    ...['override_arm by api', 'override_arm by api'],
    ...['hold_rollout by api', 'resume_rollout by api', 'advance_rollout by api'],
  ]);
  expect((await tandem(`audit list --limit 3`)).out.split('\n')).toHaveLength(5);
});

it('a rollout to a former stable version obeys its options; --at-once skips the steps; an abort during preparation changes nothing', async () => {
  const careful = await json<{ plan: object }>(`rollout start ${COUNT} 2 --min-step 2h`);
  expect(careful.plan).toMatchObject({ steps: [1, 5, 25, 50, 100], analysis: { minStep: '2h' } });
  expect((await tandem(`rollout abort ${COUNT} --yes`)).code).toBe(0);
  expect(await tandem(`rollout start ${COUNT} 2 --at-once --min-step 2h`)).toMatchObject({
    code: 2,
    err: 'tandem: --min-step has no effect with --at-once\n  leave out --min-step or --at-once\n',
  });
  const started = await json<{ id: string; plan: { steps: number[] } }>(`rollout start ${COUNT} 2 --at-once`);
  expect(started.plan.steps).toEqual([100]);
  const show = () => json<{ state: string }>(`rollout show ${started.id}`);
  await until('the rollout is over', async () => (await show()).state === 'promoted');
  expect(await versionOf('1')).toBe('2');
  expect((await tandem(`version rollback ${COUNT} --to 1 --yes`)).code).toBe(0);

  await push('third', 0.25);
  await json(`rollout start ${COUNT} 3`);
  expect(await tandem(`rollout abort ${COUNT} --yes --reason typo`)).toMatchObject({ code: 0 });
  expect(await tandem(`rollout abort ${COUNT} --yes`)).toMatchObject({
    code: 1,
    err: expect.stringMatching(
      /^tandem: the last rollout of count is aborted: typo\n {2}tandem rollout list --predictor count/,
    ),
  });
  const { out } = await tandem('rollout list');
  expect(out.split('\n').map((line) => line.split(/ {2,}/)[3])).toEqual([
    'state',
    'aborted',
    'promoted',
    'aborted',
    'promoted',
    undefined,
  ]);
  expect(await versionOf('1')).toBe('1');
});

it('a shadow and an A/B test are started, reported and ended', async () => {
  expect(await json(`rollout start ${COUNT} 3 --shadow --share 1`)).toMatchObject({
    kind: 'shadow',
    plan: { share: 1 },
  });
  expect((await tandem(`rollout report ${COUNT}`)).out).toMatch(/model version 3/);
  expect((await tandem(`rollout end ${COUNT}`, 'yes')).out).toMatch(/^state +ended: /m);
  const arms = '--arm second=2:30 --arm third=3:30';
  expect(await json(`rollout start ${COUNT} ${arms} --live --outcome order`)).toMatchObject({
    plan: {
      arms: [{ variant: 'second', weight: 30 }, { variant: 'third' }],
      analysis: { outcomes: [{ guardrail: true }] },
    },
  });
  expect(await tandem(`rollout promote ${COUNT} --yes`)).toMatchObject({
    code: 2,
    err: 'tandem: which arm?\n  add --variant, one of second, third\n',
  });
  expect(await tandem(`rollout end ${COUNT} --yes`)).toMatchObject({ code: 0 });
  expect(asked.at(-1)).toBe('count: end the shadow? [y/N] ');
});
