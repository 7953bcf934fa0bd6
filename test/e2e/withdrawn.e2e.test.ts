/** While Postgres is down, no API serves what a rollback or an abort has withdrawn, although it last read before. */
import { floats, node } from '@tandem/testing/onnx-writer';
import { scoreModel } from '@tandem/testing/score-model';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { until } from './until.fixture.ts';

/** Enough users that a canary of half of them serves some. */
const USERS = ['1', '2', '3', '4', '5', '6', '7', '8'];
/** The model of version 2, whose score is the count plus 0.5. */
const VERSION_2 = scoreModel(1, [node('Add', ['features', 'half'], ['score'])], [floats('half', [1], [0.5])]);

let deployment: Deployment;
let first: Api;
let second: Api;

beforeAll(async () => {
  deployment = await createDeployment({ ownPostgres: true });
  await adoptCounts(deployment.pool, { users: 50, freshness: { liveTimeoutMs: 20_000 } });
  first = await deployment.startApi();
  second = await deployment.startApi();
  await deployment.startWorker({ REFRESH_SHARE: '0' });
  for (const generation of ['1', '2']) {
    await deployment.pool.query('update counts set changes = changes + 1');
    expect(await deployment.runEveryone(first)).toBe(generation);
  }
});
afterAll(() => deployment?.close());

async function withoutPostgres(check: () => Promise<void>): Promise<void> {
  const { postgres } = deployment;
  await postgres?.end('SIGQUIT');
  try {
    await check();
  } finally {
    await postgres?.start();
    await untilServed(first);
    await untilServed(second);
  }
}

/** Waits until an API has answered a read with a certificate. */
async function untilServed({ client }: Api, sources: readonly string[] = ['batch', 'live']): Promise<void> {
  await until('a read is certified', async () => {
    const read = await client.predict(COUNT, '1').catch(() => null);
    return read !== null && sources.includes(read.answer.source);
  });
}

/** Returns how each user is answered: the reason, variant and score; or the code of the problem. */
async function answersOf({ client }: Api): Promise<readonly string[]> {
  const answering = USERS.map((userId) =>
    client.predict(COUNT, userId).then(
      ({ answer }) => `${answer.reason} ${answer.variant} ${answer.prediction.score}`,
      (error: { code?: string }) => error.code ?? String(error),
    ),
  );
  return Promise.all(answering);
}

const everyone = (answer: string) => USERS.map(() => answer);

it('a generation that was rolled back is not served as unverified by an API that last read before the rollback', async () => {
  for (const api of [first, second]) expect(await answersOf(api)).toEqual(everyone('fresh stable 2'));
  await withoutPostgres(async () => {
    for (const api of [first, second]) expect(await answersOf(api)).toEqual(everyone('unverified stable 2'));
  });
  expect(await first.client.rollback(COUNT)).toMatchObject({ to: { generation: '1' } });
  await withoutPostgres(async () => {
    for (const api of [first, second]) expect(await answersOf(api)).toEqual(everyone('unavailable'));
  });
  for (const api of [first, second]) expect(await answersOf(api)).toEqual(everyone('fresh stable 1'));
  await withoutPostgres(async () => {
    for (const api of [first, second]) expect(await answersOf(api)).toEqual(everyone('unverified stable 1'));
  });
});

it('an arm that was aborted is not served as unverified by an API that last read before the abort', async () => {
  const before = await answersOf(first);
  expect(before).toEqual(everyone(before[0] ?? ''));
  await first.client.pushVersion(COUNT, VERSION_2, { features: { sql: 'select user_id, changes from counts' } });
  const plan = {
    kind: 'canary',
    version: '2',
    steps: [50, 100],
    coverage: 'live',
    analysis: { automatic: false },
  } as const;
  const { id } = await first.client.rollouts.start(COUNT, plan);
  const isBegun = async () => (await first.client.rollouts.find(id)).state === 'running';
  await until('the canary serves half of the users', isBegun);
  // The first reads infer live; later reads find their answers stored.
  for (const api of [first, second]) await answersOf(api);
  expect([...new Set(await answersOf(second))].toSorted()).toEqual(['fresh candidate 2.5', before[0]]);
  expect(await first.client.rollouts.move(id, 'abort')).toMatchObject({ state: 'aborted' });
  await withoutPostgres(async () => {
    for (const api of [first, second]) expect(await answersOf(api)).toEqual(everyone('unavailable'));
  });
  expect(await answersOf(second)).toEqual(before);
  expect(deployment.wire.violations).toEqual([]);
});
