import { eachUser, scoredUsers } from '@tandem/prediction/runs/scored-users';
import { planNow, publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createAuthority } from '../certificate/authority.ts';
import { createEventStore } from '../events/events.ts';
import { createGenerationStore } from '../generations/generations.ts';
import { query, transaction } from '../sql/database.ts';
import { patientPredictions, visitsPredictor } from '../store.fixture.ts';
import { createErasureStore } from '../users/erasures.ts';
import { createRunsWorld } from './runs.fixture.ts';

const { database, store, renew, start, score, claim, work, workAll } = await createRunsWorld({ users: 450 });
beforeEach(renew);
afterAll(() => database.drop());

const all = { predictor: 'visits', scope: { kind: 'all' as const }, reason: 'test', scheduleSlot: null };
const event = (id: string, userId: string) => ({ source: 't', id, type: 'x', userId, time: null, data: null });

const countOf = async (from: string) =>
  (await query<{ n: number }>(database.pool, { text: `select count(*) as n from ${from}` }))[0]?.n;

describe('a run of all users', () => {
  test('is planned into key ranges, scored, published, and then read by one statement', async () => {
    const run = await start();
    expect(run).toMatchObject({ state: 'running', usersExpected: 450, chunkCount: 5, generationNumber: 1 });
    expect((await createGenerationStore(database.pool).list('visits'))[0]).toMatchObject({
      buckets: 10,
      state: 'building',
    });
    expect(await planNow(store, run.id)).toEqual(run);
    await createEventStore(database.pool).accept([event('1', '7')]);
    const outcome = await workAll(run);
    expect(outcome).toMatchObject({ state: 'done', note: null, generation: { number: 1, users: 450, inForce: true } });
    expect(await publishNow(store, run.id)).toBeNull();
    expect(await store.find(run.id)).toMatchObject({ state: 'done', usersScored: 450, chunksCommitted: 5 });
    const authority = createAuthority(database.pool, { timeoutMs: 20_000 });
    const assignment = (await authority.certify([])).assignments('visits')?.stable;
    await authority.close();
    if (!assignment) throw new Error('no assignment');
    const found = await patientPredictions(database.pool).find(assignment, ['7', '450', '451']);
    expect([...found.keys()].sort()).toEqual(['450', '7']);
    expect(found.get('7')).toMatchObject([
      { layer: 'generation', source: 'batch', contextVersion: 1, generationId: run.generationId },
    ]);
    expect(found.get('450')?.[0]?.outputs.readFloatLE()).toBe(450);
  });

  test('scores users that appear beyond the planned keys', async () => {
    const run = await start();
    await database.pool.query(`insert into visits select n, 1, 1, true, 'x' from unnest(array[-5, 9000]) n`);
    expect(await workAll(run)).toMatchObject({ state: 'done', generation: { users: 452 } });
  });

  test('is returned in pages with every committed row once, in order', async () => {
    const run = await start();
    const outcome = await workAll(run);
    const pages = [];
    if (!outcome?.generation) throw new Error('no current generation');
    for await (const page of createGenerationStore(database.pool).pages(outcome.generation, 200)) pages.push(page);
    expect(pages.map((page) => page.length)).toEqual([200, 200, 50]);
    expect(new Set(pages.flat().map((row) => row.userId)).size).toBe(450);
  });

  test('cannot be requested while another is unfinished, and a slot has one run for any number of schedulers', async () => {
    const slot = new Date('2026-01-01T02:00:00Z');
    const made = await Promise.all(Array.from({ length: 5 }, () => store.create({ ...all, scheduleSlot: slot })));
    expect(made.filter((one) => one.created)).toHaveLength(1);
    expect(new Set(made.map((one) => one.run.id)).size).toBe(1);
    await expect(store.create(all)).rejects.toMatchObject({ code: 'run_conflict' });
    await expect(store.create({ ...all, predictor: 'nobody' })).rejects.toMatchObject({ code: 'unknown_predictor' });
  });

  test('keeps its budget, which only a run of all users may have', async () => {
    const { run } = await store.create({ ...all, budget: { cpuMinutes: 1.5 } });
    expect(run.budget).toEqual({ cpuMinutes: 1.5 });
    await expect(store.create({ ...all, scope: { kind: 'stale' }, budget: { share: 0.5 } })).rejects.toMatchObject({
      code: 'invalid_input',
      field: 'budget',
    });
  });

  test('is created once for a time that both schedules have, whichever schedule comes first', async () => {
    const scheduleSlot = new Date('2026-01-01T02:00:00Z');
    const stale = { ...all, scope: { kind: 'stale' as const } };
    const { run } = await store.create({ ...stale, scheduleSlot, isOfChanged: true });
    expect(await store.create({ ...all, scheduleSlot })).toMatchObject({ run: { id: run.id }, created: false });
    // A manual run may begin beside it, but no scheduled run.
    expect(await store.create(stale)).toMatchObject({ created: true });
    const later = new Date('2026-01-01T03:00:00Z');
    const ofChanged = { ...stale, scheduleSlot: later, isOfChanged: true };
    await expect(store.create(ofChanged)).rejects.toMatchObject({ code: 'run_conflict' });
  });

  test('is not published if too few users were scored, and its generation does not become current', async () => {
    const run = await start();
    for (const { no } of await store.claimable(run.id, 10)) {
      const chunk = await claim(run.id, no);
      const result = await score(run, chunk);
      const failures = result.scored.userIds.slice(0, 20).map((userId) => ({ userId, reason: 'poison' }));
      await store.commit(run, chunk, { ...result, scored: scoredUsers(eachUser(result.scored).slice(20)), failures });
    }
    expect(await publishNow(store, run.id)).toMatchObject({
      state: 'failed',
      generation: null,
      note: expect.stringContaining('350 of 450 users were scored (77.7 %)'),
    });
    expect(await store.failures(run.id, 3)).toMatchObject([
      { reason: 'poison' },
      { reason: 'poison' },
      { reason: 'poison' },
    ]);
  });

  test('does not expect users that were erased since its creation', async () => {
    const run = await start();
    const erasures = createErasureStore(database.pool);
    for (let userId = 1; userId <= 60; userId++) await erasures.setTombstone(`${userId}`);
    expect(await workAll(run)).toMatchObject({ state: 'done', generation: { users: 390, inForce: true } });
  });

  test('expects lost users, however many other users were erased since', async () => {
    const run = await start();
    const erasures = createErasureStore(database.pool);
    for (let n = 1; n <= 60; n++) await erasures.setTombstone(`${9_000 + n}`);
    await database.pool.query('delete from visits where user_id <= 60');
    expect(await workAll(run)).toMatchObject({
      state: 'failed',
      note: expect.stringContaining('only 390 of 450 users were scored'),
    });
  });

  test('expects users that were erased before it until their chunk omits them', async () => {
    const erasures = createErasureStore(database.pool);
    for (const userId of ['1', '2', '300']) await erasures.setTombstone(userId);
    const run = await start();
    expect(run).toMatchObject({ usersExpected: 450 });
    await work(run, 0);
    expect(await store.find(run.id)).toMatchObject({ usersExpected: 448, usersScored: 98 });
    expect(await workAll(run)).toMatchObject({ state: 'done', generation: { users: 447 } });
    expect(await store.find(run.id)).toMatchObject({ usersExpected: 447, usersScored: 447 });
  });

  test('tolerates erased users that chunks of the previous release did not count', async () => {
    const run = await start();
    const erasures = createErasureStore(database.pool);
    for (let userId = 1; userId <= 60; userId++) await erasures.setTombstone(`${userId}`);
    for (const { no } of await store.claimable(run.id, 10)) await work(run, no);
    await database.pool.query('update tandem.chunks set erased = null');
    expect(await publishNow(store, run.id)).toMatchObject({ state: 'done', generation: { users: 390 } });
  });

  test('publishes nothing if the feature source is empty', async () => {
    await database.pool.query('truncate visits');
    expect(await workAll(await start())).toMatchObject({
      state: 'failed',
      note: 'the feature query has no rows; check the table that it reads, then start another run',
    });
  });

  test('is published without becoming current if another model version has become stable', async () => {
    const run = await start();
    await adopt(database.pool, { predictors: [visitsPredictor({ model: 'better' })], actor: 'test' });
    expect(await workAll(run)).toMatchObject({
      state: 'done',
      generation: null,
      note: expect.stringContaining('not made current'),
    });
  });

  test('is published once by concurrent publishers', async () => {
    const run = await start();
    for (const { no } of await store.claimable(run.id, 10)) await work(run, no);
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => publishNow(store, run.id)));
    const made = outcomes.filter((one) => one !== null);
    expect(made.map(({ generation }) => generation?.id)).toEqual([run.generationId]);
    expect(await countOf(`tandem.audit where action = 'publish'`)).toBe(1);
  });
});

describe('chunks', () => {
  test('a chunk is claimed by one of many workers, and again only when its lease is over', async () => {
    const run = await start();
    const claims = await Promise.all(Array.from({ length: 8 }, () => store.claim(run.id, 0, 60_000)));
    expect(claims.filter((one) => one !== null)).toMatchObject([
      { fence: 1, attempts: 1, part: { range: { from: null, to: '101' } } },
    ]);
    expect((await store.claimable(run.id, 10)).map((one) => one.no)).toEqual([1, 2, 3, 4]);
    await database.pool.query(`update tandem.chunks set lease_until = now() - interval '1 s' where no = 0`);
    expect(await store.claim(run.id, 0, 60_000)).toMatchObject({ fence: 2, attempts: 2 });
  });

  test('a worker that lost its lease writes nothing and cannot renew', async () => {
    const run = await start();
    const zombie = await claim(run.id, 0);
    const result = await score(run, zombie);
    expect(await store.renew(zombie, 1)).toBe(true);
    await database.pool.query(`update tandem.chunks set lease_until = now() - interval '1 s' where no = 0`);
    const heir = await claim(run.id, 0);
    expect(await store.commit(run, zombie, result)).toEqual({ committed: false, why: 'fence_lost' });
    expect(await store.renew(zombie, 1_000)).toBe(false);
    expect(await store.giveBack(zombie, 'late', 5)).toBe('fence_lost');
    expect(await store.commit(run, heir, result)).toMatchObject({ committed: true, chunksOpen: 4 });
    expect(await store.commit(run, heir, result)).toEqual({ committed: false, why: 'fence_lost' });
    expect(await countOf('tandem.predictions')).toBe(100);
  });

  test('labels that were read in another history are rejected, and the run continues in the new history', async () => {
    const run = await start();
    const chunk = await claim(run.id, 0);
    const result = await score(run, chunk);
    await database.pool.query('update tandem.history_rotation set rotation = gen_random_uuid()');
    expect(await store.commit(run, chunk, result)).toEqual({ committed: false, why: 'history_changed' });
    expect(await store.giveBack(chunk, 'another history', 5)).toBe('waiting');
    expect(await workAll(run)).toMatchObject({ state: 'done' });
  });

  // Few erased users are all read; with many, only the chunk's users are looked up.
  test.each([0, 150])(
    'users that were erased since their features were read are omitted, beside %d other erased users',
    async (others) => {
      const run = await start();
      const chunk = await claim(run.id, 0);
      const result = await score(run, chunk);
      await database.pool.query(
        `insert into tandem.user_contexts (user_id, version, deleted_version) select 'gone ' || n, 1, 1 from generate_series(1, $1) n`,
        [others],
      );
      await database.pool.query(
        `insert into tandem.user_contexts (user_id, version, deleted_version) values ('5', 1, 1)`,
      );
      const outcome = await store.commit(run, chunk, result);
      expect(outcome.committed && outcome.written.userIds.length).toBe(99);
      expect(await countOf(`tandem.predictions where user_id = '5'`)).toBe(0);
    },
  );

  test('an erased user with faulty features is neither counted nor named', async () => {
    const run = await start();
    const chunk = await claim(run.id, 0);
    const result = await score(run, chunk);
    await database.pool.query(
      `insert into tandem.user_contexts (user_id, version, deleted_version) values ('5', 1, 1)`,
    );
    const failures = ['5', '6'].map((userId) => ({ userId, reason: 'feature orders is null' }));
    const others = eachUser(result.scored).filter(({ userId }) => userId !== '5' && userId !== '6');
    expect(await store.commit(run, chunk, { ...result, scored: scoredUsers(others), failures })).toMatchObject({
      committed: true,
    });
    expect(await store.failures(run.id, 10)).toEqual([failures[1]]);
    expect(await store.find(run.id)).toMatchObject({ usersScored: 98, usersFailed: 1 });
  });

  test('a chunk that is returned too often fails its run when the others are done; the run can be resumed', async () => {
    const run = await start();
    const bad = await claim(run.id, 2);
    expect(await store.giveBack(bad, 'boom', 1)).toBe('failed');
    expect(await store.find(run.id)).toMatchObject({ state: 'running' });
    expect(await workAll(run)).toMatchObject({ state: 'failed', note: 'chunk 2 failed: boom' });
    expect(await store.find(run.id)).toMatchObject({ state: 'failed', chunksCommitted: 4 });
    expect(await store.resume(run.id)).toMatchObject({ state: 'running', error: null });
    expect(await workAll(run)).toMatchObject({ state: 'done', generation: { users: 450 } });
  });

  test('if the last open chunk fails, the run fails immediately', async () => {
    const run = await start({ kind: 'users', userIds: ['1'] });
    expect(await store.giveBack(await claim(run.id, 0), 'boom', 1)).toBe('failed');
    expect(await store.find(run.id)).toMatchObject({ state: 'failed', error: 'chunk 0 failed: boom' });
    expect(await publishNow(store, run.id)).toBeNull();
  });

  test('a run that lost all its hints is found ready for publication', async () => {
    const run = await start();
    for (const { no } of await store.claimable(run.id, 10)) await work(run, no);
    expect(await store.unfinished()).toMatchObject([{ id: run.id, state: 'publishing' }]);
  });
});

describe('cancelling and resuming', () => {
  test('a cancelled run commits nothing more; after a resume it does the rest', async () => {
    const run = await start();
    await work(run, 0);
    const chunk = await claim(run.id, 1);
    const result = await score(run, chunk);
    expect(await store.cancel(run.id)).toMatchObject({ state: 'cancelled', usersScored: 100 });
    expect(await store.commit(run, chunk, result)).toEqual({ committed: false, why: 'run_ended' });
    expect(await store.claim(run.id, 2, 1_000)).toBeNull();
    await expect(store.cancel(run.id)).rejects.toMatchObject({
      code: 'run_conflict',
      message: `Run ${run.id} cannot be changed: it is cancelled.`,
      remedy: `resume it (tandem run resume ${run.id}), or start another run`,
    });
    await store.resume(run.id);
    expect(await workAll(run)).toMatchObject({ state: 'done', generation: { users: 450 } });
    await expect(store.resume(run.id)).rejects.toMatchObject({ code: 'run_conflict' });
    await expect(store.cancel('no such run')).rejects.toMatchObject({ code: 'unknown_run' });
  });

  test('a resumed run repeats claimed chunks before their lease ends, and their claimants write nothing', async () => {
    const run = await start();
    const zombie = await claim(run.id, 1);
    const result = await score(run, zombie);
    await store.cancel(run.id);
    await store.resume(run.id);
    async function writesNothing() {
      expect(await store.renew(zombie, 60_000)).toBe(false);
      expect(await store.commit(run, zombie, result)).toEqual({ committed: false, why: 'fence_lost' });
      expect(await store.giveBack(zombie, 'late', 1)).toBe('fence_lost');
      await store.release(zombie);
      expect(await countOf('tandem.predictions')).toBe(0);
    }
    await writesNothing();
    expect((await store.claimable(run.id, 10)).map(({ no }) => no)).toEqual([0, 1, 2, 3, 4]);
    const heir = await claim(run.id, 1);
    expect(heir).toMatchObject({ fence: zombie.fence + 1, attempts: 1, takenOver: false });
    await writesNothing();
    expect(await store.commit(run, heir, result)).toMatchObject({ committed: true });
    expect(await workAll(run)).toMatchObject({ state: 'done', generation: { users: 450 } });
  });

  test('runs are listed newest first, in pages', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.unshift((await start({ kind: 'users', userIds: ['1'] })).id);
    const first = await store.list({ limit: 3 });
    const second = await store.list({ limit: 3, before: first[2]?.id ?? '', predictor: 'visits' });
    expect([...first, ...second].map((run) => run.id)).toEqual(ids);
    expect(await store.list({ limit: 3, predictor: 'other' })).toEqual([]);
  });
});

describe('partial runs', () => {
  test('a run of named users writes overlay entries and affects no other user', async () => {
    await workAll(await start());
    const before = await createGenerationStore(database.pool).inForce();
    const run = await start({ kind: 'users', userIds: ['3', '4', '3', '99999'] });
    expect(run).toMatchObject({ scope: 'users', usersExpected: 3, chunkCount: 1, generationId: null });
    expect(await workAll(run)).toMatchObject({ state: 'done', generation: null });
    expect(await createGenerationStore(database.pool).inForce()).toEqual(before);
    const rows = await query(database.pool, {
      text: `select user_id, source, overlay_floor from tandem.overlay order by 1`,
    });
    expect(rows).toEqual([
      { user_id: '3', source: 'batch', overlay_floor: 0 },
      { user_id: '4', source: 'batch', overlay_floor: 0 },
    ]);
    await expect(store.create({ ...all, scope: { kind: 'users', userIds: ['1', '01'] } })).rejects.toMatchObject({
      code: 'invalid_input',
      field: 'scope.userIds[1]',
      remedy: 'send "1"',
    });
  });

  test('a stale run scores the users with a context newer than their prediction', async () => {
    await workAll(await start());
    const events = createEventStore(database.pool);
    await events.accept([event('1', '10'), event('2', '11'), event('3', '12'), event('4', '77777')]);
    await database.pool.query(`update tandem.user_contexts set deleted_version = version where user_id = '12'`);
    const run = await start({ kind: 'stale' });
    expect(run).toMatchObject({ scope: 'stale', usersExpected: 2, chunkCount: 1 });
    expect((await claim(run.id, 0)).part).toEqual({ userIds: ['10', '11'] });
    await database.pool.query(
      `update tandem.chunks set lease_until = now() - interval '1 s' where run_id = '${run.id}'`,
    );
    await workAll(run);
    const nothing = await start({ kind: 'stale' });
    expect(nothing).toMatchObject({ usersExpected: 0, chunkCount: 0 });
    expect(await publishNow(store, nothing.id)).toMatchObject({ state: 'done' });
    await events.accept([event('5', '10')]);
    expect(await start({ kind: 'stale' })).toMatchObject({ usersExpected: 1 });
  });

  test('a stale run over more than a fifth of the users becomes a run of all users', async () => {
    await createEventStore(database.pool).accept(Array.from({ length: 91 }, (_, i) => event(`e${i}`, String(i + 1))));
    const run = await start({ kind: 'stale' });
    expect(run).toMatchObject({ scope: 'all', usersExpected: 450, chunkCount: 5 });
    expect(run.generationId).not.toBeNull();
  });
});

describe('generations', () => {
  const generations = () => createGenerationStore(database.pool);

  test('a rollback returns to the previous generation, raises floor and revision, restarts the expiry, and is audited', async () => {
    await workAll(await start());
    await workAll(await start());
    const { from, to } = await generations().rollBack({ predictor: 'visits', to: null, actor: 'ops' });
    expect([from?.inForce, to.inForce]).toEqual([false, true]);
    expect([from?.number, to.number]).toEqual([2, 1]);
    const [arm] = await query(database.pool, {
      text: 'select generation_id, overlay_floor, revision, expires_from from tandem.arms',
    });
    expect(arm).toMatchObject({ generation_id: to.id, overlay_floor: 1, revision: 3, expires_from: expect.any(Date) });
    expect(await countOf(`tandem.audit where action = 'rollback' and actor = 'ops'`)).toBe(1);
    await generations().rollBack({ predictor: 'visits', to: 2, actor: 'ops' });
    await expect(generations().rollBack({ predictor: 'visits', to: 2, actor: 'ops' })).rejects.toMatchObject({
      code: 'unknown_generation',
      message: 'Generation 2 is already current.',
      remedy: 'choose one of 1',
    });
    await expect(generations().rollBack({ predictor: 'visits', to: 9, actor: 'ops' })).rejects.toMatchObject({
      code: 'unknown_generation',
    });
    await expect(generations().rollBack({ predictor: 'x', to: 9, actor: 'ops' })).rejects.toMatchObject({
      code: 'unknown_predictor',
    });
    const run = await start();
    await workAll(run);
    const [after] = await query(database.pool, { text: 'select generation_id, expires_from from tandem.arms' });
    expect(after).toMatchObject({ generation_id: run.generationId, expires_from: null });
  });

  test('a rollback to a generation of another model version restores that version', async () => {
    const first = await start();
    await workAll(first);
    await adopt(database.pool, { predictors: [visitsPredictor({ model: 'better' })], actor: 'test' });
    await workAll(await start());
    await generations().rollBack({ predictor: 'visits', to: 1, actor: 'ops' });
    const [arm] = await query(database.pool, { text: 'select model_version_id from tandem.arms' });
    expect(arm).toEqual({ model_version_id: first.modelVersionId });
  });

  test('retention keeps the current generation, two before it, and generations of arms; the rest is dropped with its partition', async () => {
    for (let i = 0; i < 3; i++) await workAll(await start());
    await generations().rollBack({ predictor: 'visits', to: 1, actor: 'ops' });
    expect(await generations().dropRetired()).toEqual([]);
    for (let i = 0; i < 3; i++) await workAll(await start());
    const cancelled = await start();
    await store.cancel(cancelled.id);
    const dropped = await generations().dropRetired();
    expect(dropped.map((one) => one.number)).toEqual([1, 2, 3]);
    const states = (await generations().list('visits')).map((one) => [one.number, one.state]);
    expect(states).toEqual([
      [7, 'building'],
      [6, 'published'],
      [5, 'published'],
      [4, 'published'],
      [3, 'dropped'],
      [2, 'dropped'],
      [1, 'dropped'],
    ]);
    await expect(generations().rollBack({ predictor: 'visits', to: 2, actor: 'ops' })).rejects.toMatchObject({
      message: 'Generation 2 is dropped.',
      remedy: 'choose one of 5, 4',
    });
    expect(await countOf(`pg_inherits where inhparent = 'tandem.predictions'::regclass`)).toBe(4);
    await database.pool.query(
      `update tandem.runs set finished_at = now() - interval '25 hours' where id = '${cancelled.id}'`,
    );
    expect((await generations().dropRetired()).map((one) => one.number)).toEqual([7]);
    await expect(store.resume(cancelled.id)).rejects.toMatchObject({
      code: 'run_conflict',
      remedy: 'start another run',
    });
  });

  test('reads of a generation continue while another is planned and dropped', async () => {
    const outcome = await workAll(await start());
    const assignment = {
      predictor: 'visits',
      arm: 'stable',
      modelVersionId: outcome?.generation?.modelVersionId ?? '',
      modelNumber: 1,
      overlayFloor: 0,
      revision: 0,
      expiresFrom: null,
      generation: outcome?.generation ? { ...outcome.generation, isOutdated: false, base: null } : null,
    };
    const predictions = patientPredictions(database.pool);
    await transaction(database.pool, async (db) => {
      await db.query('lock table only tandem.predictions in access exclusive mode');
      expect((await predictions.find(assignment, ['7'])).get('7')).toHaveLength(1);
    });
    const gone = {
      ...assignment,
      generation: {
        id: '00000000-0000-0000-0000-000000000001',
        number: 9,
        buckets: 1,
        startedAt: 0,
        isOutdated: false,
        base: null,
      },
    };
    expect((await predictions.find(gone, ['7'])).size).toBe(0);
  });
});
