import { randomUUID } from 'node:crypto';
import { mayServe, type ProcessIdentity } from '@tandem/prediction/processes/processes';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { adopt } from '../adopt.ts';
import { insertCandidate } from '../candidate.fixture.ts';
import { createTestDatabase, createVisits, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { awaitVersions, createRegister, GONE_AFTER_MS, listProcesses, readinessOf } from './processes.ts';

let database: TestDatabase;
let served: string;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(() => database?.drop());
beforeEach(async () => {
  await database.reset();
  await createVisits(database.pool, 10);
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
  served = await newestVersion();
});

const identity = (changes: Partial<ProcessIdentity> = {}): ProcessIdentity => ({
  id: randomUUID(),
  kind: 'api',
  host: 'one',
  pid: 7,
  release: '0.1.0',
  ...changes,
});
const registerOf = (self: ProcessIdentity) => createRegister(database.pool, self);
const ready = (modelVersionId: string) => ({ modelVersionId, state: 'ready' as const, error: null });
const failed = (modelVersionId: string, error: string) => ({ modelVersionId, state: 'failed' as const, error });

async function newestVersion(): Promise<string> {
  const { rows } = await database.pool.query('select id from tandem.model_versions order by created_at desc limit 1');
  return rows[0].id;
}

const addCandidate = () => insertCandidate(database.pool, visitsPredictor({ model: 'another model' }));

/** Makes a process look as if it had sent no heartbeat for this long. */
async function silence({ id }: ProcessIdentity, ms: number): Promise<void> {
  await database.pool.query(`update tandem.processes set seen_at = seen_at - $2 * interval '1 ms' where id = $1`, [
    id,
    ms,
  ]);
}

const stateOf = async (ids: readonly string[]) =>
  (await readinessOf(database.pool, ids)).map(({ host, modelNumber, state, error }) => [
    host,
    modelNumber,
    state,
    error,
  ]);

describe('the answer to a heartbeat', () => {
  it('has the versions of all arms, served versions first, including those of a rollout that is preparing', async () => {
    const register = registerOf(identity());
    expect(await register.beat([])).toEqual([{ modelVersionId: served, isServed: true, isTried: false }]);
    const candidate = await addCandidate();
    expect(await register.beat([])).toEqual([
      { modelVersionId: served, isServed: true, isTried: false },
      { modelVersionId: candidate, isServed: false, isTried: true },
    ]);
    await database.pool.query("update tandem.arms set end_bucket = 100 where name = 'candidate'");
    expect((await register.beat([])).filter(({ isServed }) => isServed)).toHaveLength(2);
  });

  it('marks a version as served if its arm has users only by overrides, when its rollout is running', async () => {
    const candidate = await addCandidate();
    const register = registerOf(identity());
    await database.pool.query(
      "insert into tandem.arm_overrides select id, '1', 'candidate' from tandem.rollouts where predictor = 'visits'",
    );
    expect(await register.beat([])).toContainEqual({ modelVersionId: candidate, isServed: false, isTried: true });
    await database.pool.query("update tandem.rollouts set state = 'running'");
    expect(await register.beat([])).toContainEqual({ modelVersionId: candidate, isServed: true, isTried: true });
  });

  it('omits predictors that are no longer served, and includes versions that a caller has requested', async () => {
    const candidate = await addCandidate();
    await database.pool.query("update tandem.predictors set active = false where name = 'visits'");
    const register = registerOf(identity());
    expect(await register.beat([])).toEqual([]);
    await awaitVersions(database.pool, [candidate], 60_000);
    expect(await register.beat([])).toEqual([{ modelVersionId: candidate, isServed: false, isTried: false }]);
    await database.pool.query("update tandem.awaited_versions set until = clock_timestamp() - interval '1 s'");
    expect(await register.beat([])).toEqual([]);
  });
});

describe('whether a version may serve users', () => {
  it('depends on every live process, including processes that do not know the version yet', async () => {
    const [one, two] = [identity(), identity({ host: 'two', pid: 8 })];
    await registerOf(one).beat([ready(served)]);
    await registerOf(two).beat([]);
    expect(await stateOf([served])).toEqual([
      ['one', 1, 'ready', null],
      ['two', 1, 'loading', null],
    ]);
    await registerOf(two).beat([failed(served, 'too large')]);
    expect(mayServe(await readinessOf(database.pool, [served]))).toEqual({
      ok: false,
      waiting: [],
      failed: ['api 8 on two cannot load model version 1 of visits: too large'],
    });
    await registerOf(two).beat([ready(served)]);
    expect(mayServe(await readinessOf(database.pool, [served]))).toEqual({ ok: true });
  });

  it('does not depend on a process without recent heartbeats, which counts again after its next heartbeat', async () => {
    const [one, two] = [identity(), identity({ host: 'two', pid: 8 })];
    await registerOf(one).beat([ready(served)]);
    await registerOf(two).beat([failed(served, 'too large')]);
    await silence(two, GONE_AFTER_MS / 2);
    expect(mayServe(await readinessOf(database.pool, [served]))).toMatchObject({ ok: false });
    await silence(two, GONE_AFTER_MS / 2);
    expect(mayServe(await readinessOf(database.pool, [served]))).toEqual({ ok: true });
    // Another process's heartbeat removed this process. It was only slow, and reports all versions again.
    await registerOf(one).beat([ready(served)]);
    expect((await database.pool.query('select from tandem.processes')).rowCount).toBe(1);
    await registerOf(two).beat([failed(served, 'too large')]);
    expect(mayServe(await readinessOf(database.pool, [served]))).toMatchObject({ ok: false });
  });

  it('does not depend on a process that has left the register', async () => {
    const [one, two] = [registerOf(identity()), registerOf(identity({ host: 'two' }))];
    await one.beat([ready(served)]);
    await two.beat([failed(served, 'too large')]);
    await two.leave();
    expect(mayServe(await readinessOf(database.pool, [served]))).toEqual({ ok: true });
    expect((await listProcesses(database.pool)).map(({ host }) => host)).toEqual(['one']);
  });
});

it('the list has only live processes, with their loaded versions and times; unloaded versions are removed', async () => {
  const candidate = await addCandidate();
  const one = identity({ kind: 'worker' });
  const register = registerOf(one);
  await register.beat([ready(served), failed(candidate, 'damaged')]);
  const [listed, ...others] = await listProcesses(database.pool);
  expect(others).toEqual([]);
  expect(listed).toMatchObject({
    ...one,
    startedAt: expect.any(Date),
    versions: [
      { predictor: 'visits', modelNumber: 1, state: 'ready', error: null, at: expect.any(Date) },
      { predictor: 'visits', modelNumber: 2, state: 'failed', error: 'damaged' },
    ],
  });
  await register.beat([ready(served)]);
  const [again] = await listProcesses(database.pool);
  // The time is that of the change, not of the last heartbeat.
  expect(again?.versions).toEqual(listed?.versions.slice(0, 1));
});

it('many concurrent heartbeats, with dead processes to remove, do not block each other', async () => {
  const dead = Array.from({ length: 20 }, () => identity());
  for (const one of dead) await registerOf(one).beat([ready(served)]);
  for (const one of dead) await silence(one, GONE_AFTER_MS);
  const living = Array.from({ length: 15 }, () => registerOf(identity()));
  for (let round = 0; round < 5; round++) await Promise.all(living.map((register) => register.beat([ready(served)])));
  expect((await database.pool.query('select from tandem.processes')).rowCount).toBe(15);
});
