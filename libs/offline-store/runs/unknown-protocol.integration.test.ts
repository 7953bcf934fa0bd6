import { publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { query, withClient } from '../sql/database.ts';
import { createRunsWorld } from './runs.fixture.ts';

const { database, store, renew, ask, start, score, claim, work } = await createRunsWorld({ users: 150 });
beforeEach(async () => {
  await setProtocol(1);
  await renew();
});
afterAll(() => database.drop());

const setProtocol = (protocol: number) =>
  query(database.pool, { text: 'update tandem.settings set protocol = $1', values: [protocol] });

/** Returns everything that a worker writes for runs, without times. */
async function written() {
  const [row] = await query<{ runs: unknown; chunks: unknown; predictions: number }>(database.pool, {
    text: `select (select json_agg(json_build_array(id, state, step, step_fence, step_attempts) order by id) from tandem.runs) as runs,
      (select json_agg(json_build_array(no, state, fence, attempts) order by no) from tandem.chunks) as chunks,
      (select count(*) from tandem.predictions) as predictions`,
  });
  return row;
}

test('a release that does not know the protocol claims no step and no chunk', async () => {
  const [planned, running] = [await ask({ kind: 'users', userIds: ['1'] }), await start()];
  await setProtocol(2);
  const before = await written();
  expect(await store.claimStep(planned.id, 'plan', 10_000)).toBeNull();
  expect(await store.claimStep(running.id, 'publish', 10_000)).toBeNull();
  expect(await store.claim(running.id, 0, 10_000)).toBeNull();
  expect(await written()).toEqual(before);
});

test('a chunk that was claimed before the protocol changed is not committed, and its lease is not renewed', async () => {
  const run = await start();
  const chunk = await claim(run.id, 0);
  const result = await score(run, chunk);
  await setProtocol(2);
  const before = await written();
  expect(await store.renew(chunk, 10_000)).toBe(false);
  await expect(store.commit(run, chunk, result)).rejects.toMatchObject({
    code: 'protocol_unknown',
    message: 'The database follows freshness protocol 2; this release knows protocol 1 only.',
  });
  expect(await store.giveBack(chunk, 'test', 3)).toBe('fence_lost');
  expect(await written()).toEqual(before);
  await setProtocol(1);
  expect(await store.commit(run, chunk, result)).toMatchObject({ committed: true });
});

test('a run with all chunks done is not published under an unknown protocol', async () => {
  const run = await start();
  for (let no = 0; no < run.chunkCount; no++) await work(run, no);
  const claimed = await store.claimStep(run.id, 'publish', 10_000);
  if (!claimed || 'failed' in claimed) throw new Error('the step was not claimed');
  await setProtocol(2);
  await expect(store.publish(claimed, new AbortController().signal, async () => true)).rejects.toMatchObject({
    code: 'protocol_unknown',
  });
  expect(await store.renewStep(claimed, 10_000)).toBe(false);
  await setProtocol(1);
  await store.releaseStep(claimed);
  expect(await publishNow(store, run.id)).toMatchObject({ state: 'done' });
});

test('no run is created, cancelled or resumed under an unknown protocol', async () => {
  const [planned, cancelled] = [
    await ask({ kind: 'users', userIds: ['1'] }),
    await ask({ kind: 'users', userIds: ['2'] }),
  ];
  await store.cancel(cancelled.id);
  await setProtocol(2);
  const before = await written();
  const unknown = { code: 'protocol_unknown' };
  await expect(ask({ kind: 'users', userIds: ['3'] })).rejects.toMatchObject(unknown);
  await expect(store.cancel(planned.id)).rejects.toMatchObject(unknown);
  await expect(store.resume(cancelled.id)).rejects.toMatchObject(unknown);
  expect(await written()).toEqual(before);
});

test.each([
  ['a commit', 'update tandem.chunks set state = state where run_id = $1'],
  ['the start of a run', `select from tandem.predictors where $1::text is not null for no key update`],
  ['the cancellation of a run', 'select from tandem.runs where id = $1 for update'],
  ['a rotation of the history', 'select from tandem.history_rotation where $1::text is not null for update'],
])('the protocol number is raised only after the end of %s that may have read it', async (_, text) => {
  const run = await start();
  await withClient(database.pool, async (client) => {
    await client.query('begin');
    await client.query(text, [run.id]);
    const raise = `begin; set local lock_timeout = '100ms'; select tandem.raise_protocol(2); commit`;
    const raised = withClient(database.pool, (other) =>
      other.query(raise).finally(() => other.query('rollback').catch(() => {})),
    );
    await expect(raised).rejects.toMatchObject({ cause: { code: '55P03' } });
    await client.query('commit');
  });
  await query(database.pool, { text: 'select tandem.raise_protocol(2)' });
  expect(await store.claim(run.id, 0, 10_000)).toBeNull();
});
