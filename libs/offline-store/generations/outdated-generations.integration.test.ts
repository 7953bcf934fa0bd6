/**
 * The effect of a bulk change of a watched source on stored predictions: the protocol of
 * test/rigs/model-check/models/bulk-change.ts.
 */
import type { Assignment, Certificate } from '@tandem/freshness/certificate';
import { judge } from '@tandem/freshness/judge';
import { publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createAuthority } from '../certificate/authority.ts';
import { findModelVersion } from '../models/registry.ts';
import { putEntries } from '../reads/overlay.ts';
import { createRunsWorld } from '../runs/runs.fixture.ts';
import { watchSource } from '../sources/watch-source.ts';
import { query, transaction } from '../sql/database.ts';
import { patientFeatures, patientPredictions } from '../store.fixture.ts';
import { createGenerationStore } from './generations.ts';

const { database, store, renew, start, ask, work, workAll } = await createRunsWorld({ users: 150 });
const authority = createAuthority(database.pool, { timeoutMs: 20_000 });

beforeEach(async () => {
  await renew();
  await watchSource(database.pool, {
    ...{ table: 'visits', key: 'user_id', columns: null, predictors: ['visits'], maxUsers: 50, actor: 'test' },
  });
  // The table of the test before was dropped, which counts as a bulk change of its watch.
  await database.pool.query('update tandem.source_versions set version = 0');
});
afterAll(async () => {
  await authority.close();
  await database.drop();
});

const changeInBulk = () => database.pool.query('update visits set orders = orders + 1');

async function certified(): Promise<{ certificate: Certificate; assignment: Assignment }> {
  const certificate = await authority.certify(['7'], 'visits');
  const assignment = certificate.assignments('visits')?.stable;
  if (!assignment) throw new Error('nothing is assigned');
  return { certificate, assignment };
}

/** Returns how a read judges each candidate in Postgres' rows. */
async function states(userId = '7'): Promise<string[]> {
  const { certificate, assignment } = await certified();
  const found = (await patientPredictions(database.pool).find(assignment, [userId])).get(userId) ?? [];
  return found.map((one) =>
    judge(one, certificate.user(userId, 'visits'), assignment, certificate, { maxAgeMs: null }),
  );
}

describe('a bulk change', () => {
  test('makes a generation stale as a whole until another is computed; a single change makes one user stale', async () => {
    await workAll(await start());
    expect(await states()).toEqual(['fresh']);
    await database.pool.query('update visits set orders = 77 where user_id = 7');
    expect([await states(), await states('8')]).toEqual([['stale'], ['fresh']]);
    await workAll(await start());
    expect(await states()).toEqual(['fresh']);
    await changeInBulk();
    expect([await states(), await states('8')]).toEqual([['stale'], ['stale']]);
    await workAll(await start());
    expect([await states(), await states('8')]).toEqual([['fresh'], ['fresh']]);
  });

  test('during a run makes the published generation stale, even if some rows were computed after it', async () => {
    const run = await start();
    await work(run, 0);
    await changeInBulk();
    await work(run, 1);
    expect(await publishNow(store, run.id)).toMatchObject({ generation: { inForce: true } });
    expect((await certified()).assignment.generation?.isOutdated).toBe(true);
  });

  test('invalidates overlay entries of live answers, and of partial runs that were planned before', async () => {
    await workAll(await start());
    const planned = await start({ kind: 'users', userIds: ['7'] });
    const { assignment, certificate } = await certified();
    await changeInBulk();
    await workAll(planned);
    expect(await states()).toEqual(['stale', 'foreign']);
    const outputs = Buffer.alloc(4);
    const entry = (floor: number) => ({
      ...{ predictor: 'visits', userId: '7', modelVersionId: assignment.modelVersionId, history: certificate.history },
      ...{ overlayFloor: floor, contextVersion: 0, source: 'live' as const, computedAt: certificate.now, outputs },
    });
    await putEntries(database.pool, [entry(assignment.overlayFloor)]);
    expect(await states()).toEqual(['stale', 'foreign']);
    const now = await certified();
    expect(now.assignment.overlayFloor).toBe(assignment.overlayFloor + 1);
    await putEntries(database.pool, [entry(now.assignment.overlayFloor)]);
    expect(await states()).toEqual(['stale', 'fresh']);
    await workAll(await start({ kind: 'users', userIds: ['8'] }));
    expect(await states('8')).toEqual(['stale', 'fresh']);
  });

  test('is what a fault of the watch leaves behind: until the repair nothing stored is fresh, even to a caller that knew the arms', async () => {
    await workAll(await start());
    const before = await certified();
    expect(await states()).toEqual(['fresh']);
    await database.pool.query(
      `select tandem.fault_watch(id, 'ddl', 'a partition was detached') from tandem.watched_sources`,
    );
    await database.pool.query(`select tandem.fault_watch(id, 'ddl', 'and another') from tandem.watched_sources`);
    expect(await states()).toEqual(['stale']);
    const faulted = await certified();
    expect(faulted.certificate.revision).toBe(before.certificate.revision + 2);
    expect(faulted.assignment).toMatchObject({ isUnwatched: true, overlayFloor: before.assignment.overlayFloor });
    await workAll(await start());
    expect(await states()).toEqual(['stale']);
    await database.pool.query('select tandem.settle_watch(id) from tandem.watched_sources');
    const repaired = await certified();
    expect(repaired.certificate.revision).toBeGreaterThan(faulted.certificate.revision);
    expect(repaired.assignment.isUnwatched).toBeUndefined();
    expect(repaired.assignment.overlayFloor).toBeGreaterThan(before.assignment.overlayFloor);
    expect(await states()).toEqual(['stale']);
    await workAll(await start());
    expect(await states()).toEqual(['fresh']);
  });

  test('is returned by the feature statement to a caller that knew the arms', async () => {
    const source = patientFeatures(database.pool);
    const version = await findModelVersion(database.pool, (await certified()).assignment.modelVersionId);
    const floor = async () => {
      const { certificate } = await source.readUsers(version, ['7'], 'with rows');
      return certificate.assignments('visits')?.stable.overlayFloor;
    };
    // The second is read packed.
    expect([await floor(), await floor()]).toEqual([0, 0]);
    await changeInBulk();
    expect([await floor(), await floor()]).toEqual([1, 1]);
  });

  test('makes a stale run score all users, unless a run of all users is unfinished', async () => {
    await workAll(await start());
    expect(await start({ kind: 'stale' })).toMatchObject({ scope: 'stale', usersExpected: 0 });
    await changeInBulk();
    const run = await start({ kind: 'stale' });
    expect(run).toMatchObject({ scope: 'all', usersExpected: 150 });
    expect(await start({ kind: 'stale' })).toMatchObject({ scope: 'stale' });
    await workAll(run);
    expect(await states()).toEqual(['fresh']);
    expect(await ask({ kind: 'stale' })).toMatchObject({ scope: 'stale' });
  });

  test('stays behind a rollback: the generation that it returns to is from before the change', async () => {
    await workAll(await start());
    await changeInBulk();
    await workAll(await start());
    expect(await states()).toEqual(['fresh']);
    await createGenerationStore(database.pool).rollBack({ predictor: 'visits', to: null, actor: 'test' });
    expect(await states()).toEqual(['stale']);
  });

  test('that is not committed blocks another bulk change only', async () => {
    await workAll(await start());
    await transaction(database.pool, async (db) => {
      await db.query('update visits set orders = 5');
      expect(await states()).toEqual(['fresh']);
      // In the meantime a run is planned, processed and published, and a rollback is done.
      await workAll(await start());
      await createGenerationStore(database.pool).rollBack({ predictor: 'visits', to: null, actor: 'test' });
      await db.query('rollback; begin');
    });
    expect(await states()).toEqual(['fresh']);
    const rows = await query<{ version: number }>(database.pool, {
      text: 'select version from tandem.source_versions',
    });
    expect(rows).toEqual([{ version: 0 }]);
  });
});
