import { randomUUID } from 'node:crypto';
import { adopt } from '@tandem/offline-store/adopt';
import { deleteShadowMovers } from '@tandem/offline-store/generations/erased-predictions';
import { expireShadowMovers } from '@tandem/offline-store/retention';
import { createTestDatabase, visitsPredictor } from '@tandem/offline-store/store.fixture';
import { createErasureStore } from '@tandem/offline-store/users/erasures';
import { afterAll, beforeEach, expect, inject, it } from 'vitest';
import { NO_COMPARISONS, NO_EFFORT } from '../shadow/shadow-counts.ts';
import { MOST_MOVERS, type ShadowMover, type ShadowRow } from '../shadow/shadow-report.ts';
import { createRolloutStore } from './rollouts.ts';
import { createShadowStore, findShadow } from './shadow.ts';

const database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
const { pool } = database;
const store = createShadowStore(pool);
afterAll(() => database.drop());

let rolloutId = '';
beforeEach(async () => {
  await database.reset();
  const [first, second] = [visitsPredictor(), visitsPredictor({ model: 'second' })];
  for (const predictor of [second, first]) await adopt(pool, { predictors: [predictor], actor: 'test' });
  const plan = { kind: 'shadow' as const, version: 1, share: 1, maxPerSecond: 100 };
  ({ id: rolloutId } = await createRolloutStore(pool).create({ predictor: 'visits', plan, actor: 'test' }));
});

const rowsOf = (compared: number): ShadowRow[] => [
  { segment: null, counts: { ...NO_COMPARISONS, compared, effort: NO_EFFORT } },
  { segment: { feature: 'a=b', value: 'x=y' }, counts: { ...NO_COMPARISONS, compared } },
  { segment: { feature: 'a=b', value: '' }, counts: { ...NO_COMPARISONS, compared } },
  { segment: { feature: 'a=b', value: null }, counts: { ...NO_COMPARISONS, compared } },
];
const moverOf = (userId: string, delta: number, contextVersion = 0): ShadowMover => ({
  ...{ userId, served: 0.5, candidate: 0.5 + delta, contextVersion },
  computedAt: Date.parse('2026-11-24T02:00:00.120Z'),
});
const keep = (compared: number, movers: readonly ShadowMover[] = [], processId = randomUUID()) =>
  store.keep({ rolloutId, processId, rows: rowsOf(compared), movers });
async function kept() {
  const found = await findShadow(pool, rolloutId);
  if (!found || found === 'not a shadow') throw new Error('no shadow');
  return found;
}
const moverIds = async () => (await kept()).movers.map(({ userId }) => userId);

it('a process replaces only its own sums, segment by segment, whatever characters names contain', async () => {
  const processId = randomUUID();
  await keep(1, [], processId);
  await Promise.all([keep(7), keep(2, [], processId)]);
  const { rows, processes, updatedAt } = await kept();
  expect(
    rows
      .filter(({ segment }) => segment === null)
      .map(({ counts }) => counts.compared)
      .sort(),
  ).toEqual([2, 7]);
  for (const { segment } of rowsOf(0)) expect(rows.filter((row) => same(row.segment, segment))).toHaveLength(2);
  expect([rows.length, processes, updatedAt]).toEqual([8, 2, expect.any(Date)]);
});

const same = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other);

it('the store keeps the users with the largest differences of all processes, and returns the difference that the next must exceed', async () => {
  const users = Array.from({ length: 40 }, (_, i) => i + 1);
  expect(
    await keep(
      1,
      users.map((i) => moverOf(`a${i}`, i / 100)),
    ),
  ).toBe(0);
  const floor = await keep(
    1,
    users.map((i) => moverOf(`b${i}`, -i / 100)),
  );
  expect(floor).toBeCloseTo(0.16, 9);
  expect(await moverIds()).toHaveLength(MOST_MOVERS);
  expect((await kept()).movers[0]).toEqual(moverOf('a40', 0.4));
  // For one user the largest difference is kept.
  await keep(1, [moverOf('a40', 0.3), moverOf('b1', 0.9)]);
  expect((await kept()).movers.slice(0, 2)).toEqual([moverOf('b1', 0.9), moverOf('a40', 0.4)]);
});

it('an erasure deletes the user, and results of a process from before the erasure are ignored', async () => {
  await keep(1, [moverOf('1', 0.4), moverOf('2', 0.3)]);
  const erasures = createErasureStore(pool);
  const { tombstone } = await erasures.setTombstone('1');
  await erasures.deleteRows([tombstone.number]);
  expect(await moverIds()).toEqual(['2']);
  await keep(1, [moverOf('1', 0.4)]);
  expect(await moverIds()).toEqual(['2']);
  // A readmitted user has a new history with the same id.
  await erasures.readmit('1');
  await keep(1, [moverOf('1', 0.2, tombstone.version + 1)]);
  expect(await deleteShadowMovers(pool, [tombstone.number])).toBe(0);
  expect(await moverIds()).toEqual(['2', '1']);
});

it('nothing is kept for a deleted rollout, and no users for a rollout that ended long ago', async () => {
  await keep(1, [moverOf('1', 0.4)]);
  await pool.query(`update tandem.rollouts set state = 'ended', ended_at = clock_timestamp() - interval '29 days'`);
  expect(await expireShadowMovers(pool)).toBe(0);
  await pool.query(`update tandem.rollouts set ended_at = ended_at - interval '2 days'`);
  expect(await expireShadowMovers(pool)).toBe(1);
  expect((await kept()).rows).toHaveLength(4);
  await pool.query('delete from tandem.arms where rollout_id is not null; delete from tandem.rollouts');
  expect(await keep(5, [moverOf('2', 0.4)])).toBe(Number.POSITIVE_INFINITY);
  expect((await pool.query('select from tandem.shadow_counts')).rowCount).toBe(0);
});
