import type { OutcomeMetric } from '@tandem/freshness/rollout';
import { createTestDatabase, type TestDatabase } from '@tandem/offline-store/store.fixture';
import { createErasureStore } from '@tandem/offline-store/users/erasures';
import type { Outcome } from '@tandem/outcomes/outcome';
import { createOutcomeStore } from '@tandem/outcomes/outcome-store';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { Exposure } from '../rules/exposures.ts';
import { findStepFigures } from './arm-counts.ts';
import { createRolloutRows, exposure } from './exposures.fixture.ts';
import { createExposureStore } from './exposures.ts';
import { countOutcomes } from './outcome-passes.ts';

const HOUR = 3_600_000;
/** The time from which the tests' hours are counted back. The database's clock is slightly later. */
let now: number;
let database: TestDatabase;
let id: string;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(async () => {
  await database.reset();
  [id = ''] = await createRolloutRows(database.pool, 1);
  now =
    (await database.pool.query<{ ms: number }>('select extract(epoch from now())::float * 1000 as ms')).rows[0]?.ms ??
    0;
});
afterAll(() => database?.drop());

const metric = (changes: Partial<OutcomeMetric> = {}): OutcomeMetric => ({
  ...{ name: 'order', kind: 'binary', windowMs: 24 * HOUR, better: 'higher', guardrail: false, minimumEffect: 0.05 },
  ...changes,
});
/** Inserts exposures, each a given number of hours ago. */
const expose = (...served: [userId: string, arm: string, hoursAgo: number][]) =>
  Promise.all(
    served.map(([userId, arm, hours]) =>
      createExposureStore(database.pool).put([exposure(id, userId, { arm })], hours * HOUR),
    ),
  );
let ids = 0;
const happen = (...told: [userId: string, hoursAgo: number, value?: number, name?: string][]) =>
  createOutcomeStore(database.pool).accept(
    told.map(([userId, hours, value = 1, name = 'order']): Outcome => {
      return { source: 't', id: `${++ids}`, userId, name, value, time: new Date(now - hours * HOUR) };
    }),
  );
const statistics = async (...metrics: OutcomeMetric[]) =>
  (await countOutcomes(database.pool, { id, step: 0 }, metrics, 60_000)).arms.map(({ arm, all, mature }) => ({
    arm,
    all,
    mature,
  }));
const sumsOf = (users: number, usersWith: number, sum: number, sumOfSquares: number, largest = Math.min(sum, 1)) => ({
  ...{ users, usersWith, sum, sumOfSquares, largest },
});

test('exposed users count by their outcomes in the window after the exposure, once per user', async () => {
  await expose(['1', 'stable', 48], ['2', 'stable', 48], ['3', 'b', 48], ['4', 'b', 48]);
  await happen(['1', 47], ['1', 46], ['2', 49], ['3', 23], ['4', 30, 1, 'click'], ['5', 40]);
  const none = sumsOf(2, 0, 0, 0);
  const one = sumsOf(2, 1, 1, 1);
  expect(await statistics(metric())).toEqual([
    { arm: 'b', all: none, mature: none },
    { arm: 'stable', all: one, mature: one },
  ]);
});

test('the values of a user are added up, and their sum is squared', async () => {
  await expose(['1', 'stable', 48], ['2', 'stable', 48]);
  await happen(['1', 47, 2], ['1', 46, 3.5], ['2', 40, -4], ['2', 10, 1_000]);
  expect(await statistics(metric({ kind: 'sum' }))).toMatchObject([{ all: sumsOf(2, 2, 1.5, 5.5 ** 2 + 16, 5.5) }]);
});

test('a cap limits the sum of a user, in either direction, before users are added up', async () => {
  await expose(['1', 'stable', 48], ['2', 'stable', 48], ['3', 'b', 48]);
  await happen(['1', 47, 3], ['1', 46, 3], ['2', 47, -9], ['3', 47, 1e15]);
  expect(await statistics(metric({ kind: 'sum', cap: 5 }))).toMatchObject([
    { arm: 'b', all: sumsOf(1, 1, 5, 25, 5) },
    { arm: 'stable', all: sumsOf(2, 2, 0, 50, 5) },
  ]);
});

test('a pass of a release without caps starts over, and its sums are not used', async () => {
  await expose(['1', 'stable', 48], ['2', 'stable', 48]);
  await happen(['1', 47, 9]);
  const sums = JSON.stringify([{ no: 1, arm: 'stable', all: { users: 1, sum: 9 }, mature: { users: 1, sum: 9 } }]);
  await database.pool.query(
    `insert into tandem.outcome_passes (rollout_id, step, as_of, after_user, sums, counted, counted_as_of)
     values ($1, 0, now(), '1', $2, $2, now())`,
    [id, sums],
  );
  const capped = metric({ kind: 'sum', cap: 5 });
  // Without time, a call makes one step: it discards the sums.
  expect(await countOutcomes(database.pool, { id, step: 0 }, [capped], 0)).toEqual({ arms: [], asOf: null });
  expect(await statistics(capped)).toMatchObject([{ arm: 'stable', all: sumsOf(2, 1, 5, 25, 5) }]);
});

test('values that are too small or too large for a square cause no failure', async () => {
  await expose(['1', 'stable', 48], ['2', 'stable', 48]);
  await happen(['1', 47, 1e-300], ['2', 47, 1e15]);
  expect(await statistics(metric({ kind: 'sum' }))).toMatchObject([{ all: sumsOf(2, 2, 1e15, 1e30, 1e15) }]);
});

test('a user with an open window is in only one of the two figures; a late outcome counts by its time', async () => {
  await expose(['1', 'stable', 48], ['2', 'stable', 12]);
  await happen(['2', 11]);
  expect(await statistics(metric())).toEqual([{ arm: 'stable', all: sumsOf(2, 1, 1, 1), mature: sumsOf(1, 0, 0, 0) }]);
  await happen(['1', 30]);
  expect(await statistics(metric())).toEqual([{ arm: 'stable', all: sumsOf(2, 2, 2, 2), mature: sumsOf(1, 1, 1, 1) }]);
});

test('users of more than one arm are excluded, and users of other steps or rollouts are not read', async () => {
  await expose(['1', 'stable', 48], ['1', 'b', 47], ['2', 'b', 48]);
  await createExposureStore(database.pool).put([exposure(id, '3', { step: 1 })], 48 * HOUR);
  await happen(['1', 40], ['2', 40], ['3', 40]);
  expect(await statistics(metric())).toMatchObject([{ arm: 'b', all: sumsOf(1, 1, 1, 1) }]);
  const { arms } = await countOutcomes(database.pool, { id, step: 1 }, [metric()], 60_000);
  expect(arms).toMatchObject([{ arm: 'stable', all: sumsOf(1, 1, 1, 1) }]);
});

test('new users are counted by day; without metrics or exposures there are no outcomes', async () => {
  expect(await statistics(metric())).toEqual([]);
  expect(await statistics()).toEqual([]);
  await expose(['1', 'stable', 0], ['2', 'b', 0], ['3', 'b', 72]);
  const { newUsers } = await findStepFigures(database.pool, { id, step: 0 });
  const dayOf = (hours: number) => new Date(now - hours * HOUR).toISOString().slice(0, 10);
  expect(newUsers).toEqual([
    { day: dayOf(72), users: 1 },
    { day: dayOf(0), users: 2 },
  ]);
});

/** Computes the expected result, user by user. */
function expected(exposures: readonly Exposure[], outcomes: readonly Outcome[], of: OutcomeMetric, at: number) {
  const arms = new Map<string, { all: number[]; mature: number[] }>();
  for (const [userId, theirs] of Map.groupBy(exposures, (one) => one.userId)) {
    const [first] = theirs;
    if (!first || theirs.length !== 1) continue;
    const counted = outcomes.filter(({ name, time, ...one }) => {
      const ms = (time?.getTime() ?? 0) - first.at;
      return one.userId === userId && name === of.name && ms >= 0 && ms < of.windowMs;
    });
    const sum = counted.reduce((total, { value }) => total + value, 0);
    const { cap = null } = of;
    const capped = cap === null ? sum : Math.max(-cap, Math.min(cap, sum));
    const figure = counted.length === 0 ? Number.NaN : of.kind === 'binary' ? 1 : capped;
    const arm = arms.get(first.arm) ?? { all: [], mature: [] };
    arms.set(first.arm, arm);
    arm.all.push(figure);
    if (first.at + of.windowMs <= at) arm.mature.push(figure);
  }
  const sums = (figures: readonly number[]) => {
    const there = figures.filter((figure) => !Number.isNaN(figure));
    const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
    const values = figures.map((figure) => (Number.isNaN(figure) ? 0 : figure));
    // Of equal amounts, the positive one is the largest.
    const [high, low] = values.length === 0 ? [0, 0] : [Math.max(...values), Math.min(...values)];
    const largest = high >= -low ? high : low;
    return sumsOf(figures.length, there.length, total(there), total(there.map((figure) => figure ** 2)), largest);
  };
  return [...arms].sort().map(([arm, { all, mature }]) => ({ arm, all: sums(all), mature: sums(mature) }));
}

const OPPOSITE = {
  served: [
    { userId: '5', arm: 'b', hours: 1 },
    { userId: '4', arm: 'b', hours: 1 },
    { userId: '1', arm: 'stable', hours: 0 },
  ],
  did: [
    { userId: '5', name: 'order', value: 3, hours: 0 },
    { userId: '4', name: 'order', value: -3, hours: 0 },
  ],
};

test('for any exposures and outcomes, the statement equals a separate count', async () => {
  const user = fc.constantFrom('1', '2', '3', '4', '5');
  // Exposures are at full hours and outcomes at half hours, so never at the edge of a window.
  const hour = fc.integer({ min: 0, max: 60 });
  const served = fc.record({ userId: user, arm: fc.constantFrom('stable', 'b'), hours: hour });
  const did = fc.record({
    userId: user,
    name: fc.constantFrom('order', 'click'),
    value: fc.integer({ min: -3, max: 9 }),
    hours: hour,
  });
  const cases = fc.record({ served: fc.array(served, { maxLength: 12 }), did: fc.array(did, { maxLength: 30 }) });
  const metrics = [
    metric(),
    metric({ kind: 'sum' }),
    metric({ kind: 'sum', cap: 4 }),
    metric({ name: 'click', windowMs: 6 * HOUR }),
  ];
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      await database.pool.query('truncate tandem.exposures, tandem.outcomes');
      const exposures = [...Map.groupBy(one.served, ({ userId, arm }) => `${userId} ${arm}`).values()].flatMap(
        ([first]) => (first ? [exposure(id, first.userId, { arm: first.arm, at: now - first.hours * HOUR })] : []),
      );
      const outcomes = one.did.map(({ hours, ...rest }): Outcome => {
        return { source: 't', id: `${++ids}`, ...rest, time: new Date(now - (hours + 0.5) * HOUR) };
      });
      await createExposureStore(database.pool).put(exposures, now);
      await createOutcomeStore(database.pool).accept(outcomes);
      const found = await statistics(...metrics);
      expect(found).toEqual(metrics.flatMap((each) => expected(exposures, outcomes, each, now + 0.25 * HOUR)));
      const inSlices = await countOutcomes(database.pool, { id, step: 0 }, metrics, 60_000, 2);
      expect(inSlices.arms.map(({ arm, all, mature }) => ({ arm, all, mature }))).toEqual(found);
    }),
    // Two figures with the same amount, whose slices are added up.
    { numRuns: 60, examples: [[OPPOSITE]] },
  );
});

test('a pass resumes where the last call of any process ended; until its end the previous pass is reported', async () => {
  const count = (budgetMs = 0) => countOutcomes(database.pool, { id, step: 0 }, [metric()], budgetMs, 2);
  await expose(['1', 'stable', 48], ['2', 'b', 48], ['3', 'stable', 48], ['4', 'b', 48], ['5', 'b', 48]);
  await happen(['1', 47], ['4', 47]);
  expect(await count()).toEqual({ arms: [], asOf: null });
  expect(await count()).toEqual({ arms: [], asOf: null });
  const first = await count();
  expect(first).toMatchObject({ arms: [{ arm: 'b', all: { users: 3, usersWith: 1 } }, { arm: 'stable' }] });
  await happen(['2', 47]);
  expect(await count()).toEqual(first);
  const second = await count(60_000);
  expect(second.arms).toMatchObject([{ all: { usersWith: 2 }, mature: { usersWith: 2 } }, { arm: 'stable' }]);
  expect(second.asOf?.getTime()).toBeGreaterThan(first.asOf?.getTime() ?? 0);
  // Of two concurrent calls one counts, and the other returns the existing counts.
  const both = await Promise.all([count(60_000), count(60_000)]);
  expect(both.map(({ arms }) => arms.length)).toEqual([2, 2]);
});

test('a pass that has stopped at an erased user begins again', async () => {
  await expose(['1', 'stable', 48], ['2', 'stable', 48], ['3', 'stable', 48], ['4', 'stable', 48]);
  await countOutcomes(database.pool, { id, step: 0 }, [metric()], 0, 2);
  const position = async () => (await database.pool.query('select after_user from tandem.outcome_passes')).rows;
  expect(await position()).toEqual([{ after_user: '2' }]);
  const erasures = createErasureStore(database.pool);
  const { tombstone } = await erasures.setTombstone('2');
  await erasures.deleteRows([tombstone.number]);
  expect(await position()).toEqual([{ after_user: '' }]);
  expect(await statistics(metric())).toMatchObject([{ arm: 'stable', all: { users: 3 } }]);
});

test('a step without planner statistics does not compare each user with each outcome', async () => {
  const count = 20_000;
  await database.pool.query(
    `insert into tandem.exposures (rollout_id, step, user_id, arm, source, at, context_version)
      select $1, 0, n::text, case n % 2 when 0 then 'b' else 'stable' end, 'batch', now() - interval '1 hour', 0
      from generate_series(1, ${count}) n`,
    [id],
  );
  await database.pool.query(
    `insert into tandem.outcomes (source, id, payload_hash, user_id, name, value, time, context_version)
      select 't', n::text, '\\x00', n::text, 'order', 1, now() - interval '30 minutes', 0 from generate_series(1, ${count}) n`,
  );
  // Comparing each user with each outcome would be 400 million comparisons: two minutes on a fast processor.
  expect(await statistics(metric())).toMatchObject([
    { arm: 'b', all: { users: count / 2, usersWith: count / 2 } },
    { arm: 'stable', all: { usersWith: count / 2 } },
  ]);
}, 50_000);
