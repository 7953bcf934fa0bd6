/** Tests the rig itself: it can break and repair its parts, and its plants affect only its child processes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@tandem/client/create-client';
import { readProcess } from '@tandem/local-servers/process-identity';
import { ProblemError } from '@tandem/transport/client-errors';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { COUNT } from '../../../e2e/counts.fixture.ts';
import { until } from '../../../e2e/until.fixture.ts';
import { createRig, type Rig } from './rig.ts';
import { whyNoServerClocks } from './server-clock.ts';

const USERS = 300;
const HOUR_MS = 3_600_000;
const hasServerClocks = (await whyNoServerClocks()) === null;

let folder: string;
let rig: Rig;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-rig-'));
  rig = await createRig({ seed: 11, folder, counts: { users: USERS, batch: { chunkSize: 50 } } });
});
afterEach(() => rig?.settle());
afterAll(async () => {
  const pids = rig?.programs.map((program) => program.pid()) ?? [];
  await rig?.close();
  await rm(folder, { recursive: true, force: true });
  expect(pids.filter((pid) => readProcess(pid) !== undefined)).toEqual([]);
});

const clientOf = (no: number) =>
  createClient({ url: rig.apis[no - 1]?.url ?? '', timeoutMs: 10_000, retryForMs: 0, source: 'rig' });
const event = (id: string) => ({ id, subject: '7', type: 'changed' });

async function runEveryone(): Promise<string> {
  const { runs } = clientOf(1);
  const { id } = await until('a run can be started', () => runs.start({ predictor: COUNT, scope: 'all' }));
  const ended = await until('the run ends', async () => {
    const run = await runs.show(id).catch(() => null);
    return run?.finishedAt ? run : null;
  });
  expect(ended).toMatchObject({ state: 'done', usersScored: USERS });
  return ended.generation ?? '';
}

describe('rig', () => {
  it('starts a whole deployment, whose programs answer', async () => {
    expect(rig.programs.map(({ name }) => name)).toEqual(['api 1', 'api 2', 'worker 1', 'worker 2']);
    await runEveryone();
    for (const no of [1, 2]) expect((await clientOf(no).predict(COUNT, '7')).answer).toMatchObject({ source: 'batch' });
  });

  it('kills a program once at its failpoint, and the supervisor starts it again', async () => {
    const [api] = rig.apis;
    if (!api) throw new Error('no API');
    const before = api.starts();
    const armed = api.failpoints.arm('event.after_commit', 'kill9');
    await expect(clientOf(1).sendEvents([event('killed')])).rejects.toThrow();
    await armed.whenFired();
    await until('it is started again', () => api.starts() === before + 1);
    await api.ready();
    const [again] = await clientOf(1).sendEvents([event('killed')]);
    expect(again).toMatchObject({ status: 'duplicate', contextVersion: 1 });
    expect(armed.fired()).toBe(1);
    expect(api.starts()).toBe(before + 1);
  });

  it('fails and counts hits at a failpoint while the program continues', async () => {
    const [, api] = rig.apis;
    const failing = api?.failpoints.arm('event.before_transaction', 'throw', { hit: 2, every: 2, times: 2 });
    // The program looks every 20 ms which failpoints are armed.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const outcomes: string[] = [];
    for (let i = 0; i < 6; i++) {
      const sent = clientOf(2).sendEvents([event(`hit ${i}`)]);
      outcomes.push(
        await sent.then(
          () => 'taken',
          () => 'failed',
        ),
      );
    }
    expect(outcomes).toEqual(['taken', 'failed', 'taken', 'failed', 'taken', 'taken']);
    expect(failing?.fired()).toBe(2);
    api?.failpoints.disarmAll();
  });

  it('finishes a run whose workers are killed between commit and load, and between claim and commit', async () => {
    for (const [i, point] of ['batch.after_commit', 'batch.before_commit'].entries()) {
      rig.workers[i]?.failpoints.arm(point, 'kill9');
    }
    await runEveryone();
    await rig.settle();
  });

  it('cuts one program off a store while the other programs continue', async () => {
    // An API answers without Postgres only if it has seen a certificate before.
    expect((await clientOf(1).predict(COUNT, '8')).answer).toMatchObject({ reason: 'fresh' });
    const [cut] = rig.proxies('postgres', rig.apis.slice(0, 1));
    cut?.add({ type: 'timeout', timeout: 0 });
    // Both outcomes are right, whether or not Redis holds the prediction by now.
    const outcome = await clientOf(1)
      .predict(COUNT, '8')
      .then(
        ({ answer }) => answer.reason,
        (error: unknown) => (error instanceof ProblemError ? error.status : error),
      );
    expect(['unverified', 503]).toContain(outcome);
    expect((await clientOf(2).predict(COUNT, '8')).answer).toMatchObject({ reason: 'fresh' });
    await rig.settle();
    await until('it is certified again', async () => {
      const { answer } = await clientOf(1).predict(COUNT, '8');
      return answer.reason === 'fresh';
    });
  });

  it.runIf(hasServerClocks)('moves the clock of each running store, and sets all clocks right again', async () => {
    const hoursAhead = async () => {
      const told = await Promise.all([rig.postgres, rig.cache, rig.queue].map((store) => store.tellTime()));
      // `+ 0` turns -0 into 0, which toEqual distinguishes.
      return told.map((time) => Math.round((time - Date.now()) / HOUR_MS) + 0);
    };
    await rig.postgres.clock?.setClock(HOUR_MS);
    await rig.queue.clock?.setClock(-HOUR_MS);
    expect(await hoursAhead()).toEqual([1, 0, -1]);
    await runEveryone();
    expect((await clientOf(1).predict(COUNT, '7')).answer).toMatchObject({ reason: 'fresh' });
    await rig.settle();
    expect(await hoursAhead()).toEqual([0, 0, 0]);
  });

  it('brings the stores back empty, old or recovered, and the service with them', async () => {
    await rig.cache.keepCopy();
    await rig.postgres.backUp();
    const lost = await until('Postgres takes events again', () => clientOf(2).sendEvents([event('lost')]));
    await rig.cache.restartOld();
    await rig.cache.restartEmpty();
    await rig.queue.flush();
    await rig.postgres.restartImmediately();
    const kept = await until('Postgres is back', () => clientOf(2).sendEvents([event('lost')]));
    expect(kept).toMatchObject([{ status: 'duplicate', contextToken: lost[0]?.contextToken }]);
    await rig.postgres.restore();
    await until('the application is back', () => rig.rotateHistory().then(() => true));
    const anew = await until('Postgres is back', () => clientOf(2).sendEvents([event('lost')]));
    expect(anew).toMatchObject([{ status: 'accepted', contextVersion: lost[0]?.contextVersion }]);
    expect(anew[0]?.contextToken).not.toBe(lost[0]?.contextToken);
    await runEveryone();
  });
});
