/** The order of several values of one feature while Postgres' clock is set forward and back. */
import type { ContextEvent } from '@tandem/prediction/events/events';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createEventStore } from './events.ts';

const HOUR = 3_600;
let database: TestDatabase;
let user = 1_000;
let count = 0;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
  // Other tests use the server, so only the function that stamps events in this database gets another clock.
  const { rows } = await database.pool.query<{ stamp: string }>(
    `select pg_get_functiondef('tandem.stamp_event'::regproc) as stamp`,
  );
  await database.pool.query('create table tandem.moved_clock as select 0 as seconds');
  await database.pool.query(
    (rows[0]?.stamp ?? '').replace(
      'pg_catalog.clock_timestamp()',
      `pg_catalog.clock_timestamp() + (select seconds from tandem.moved_clock) * interval '1 s'`,
    ),
  );
});
afterAll(() => database.drop());
beforeEach(async () => {
  user++;
  await moveClock(0);
});

const moveClock = (seconds: number) => database.pool.query('update tandem.moved_clock set seconds = $1', [seconds]);
const at = (seconds: number) => new Date(Date.now() + seconds * 1_000);

function event(orders: number, time: Date | null = null): ContextEvent {
  return {
    source: 'shop',
    id: `o${100_000 + ++count}`,
    type: 'order.placed',
    userId: String(user),
    time,
    data: { orders },
  };
}

const accept = (...events: readonly ContextEvent[]) => createEventStore(database.pool).accept(events);

async function entry() {
  const { rows } = await database.pool.query<{ entry: { value: number; accepted: number; time: number } }>({
    text: `select features -> 'orders' as entry from tandem.user_contexts where user_id = $1`,
    values: [String(user)],
  });
  return rows[0]?.entry;
}
const standing = async () => (await entry())?.value;

describe('events without a time', () => {
  test.each([-HOUR, -1, HOUR])(
    'apply in the order of acceptance, even if the clock stepped by %i s in between',
    async (step) => {
      await accept(event(1));
      await moveClock(step);
      await accept(event(2));
      expect(await standing()).toBe(2);
      await moveClock(0);
      await accept(event(3));
      expect(await standing()).toBe(3);
    },
  );

  test('apply in the order of acceptance while the clock jumps, alone and in batches', async () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: -HOUR, max: HOUR }), fc.integer({ min: 1, max: 3 })), {
      minLength: 2,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(steps, async (path) => {
        user++;
        let last = 0;
        for (const [seconds, size] of path) {
          await moveClock(seconds);
          await accept(...Array.from({ length: size }, () => event(++last)));
          expect(await standing()).toBe(last);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('replace an event with a time, even after a step back', async () => {
    await accept(event(1, at(-1)));
    await moveClock(-HOUR);
    await accept(event(2));
    expect(await standing()).toBe(2);
  });

  test('yield to a known event with a later time, until the clock has passed that time', async () => {
    await accept(event(1, at(60)));
    await accept(event(2));
    expect(await standing()).toBe(1);
    await moveClock(120);
    await accept(event(3));
    expect(await standing()).toBe(3);
  });

  test('replace an event with a later time if the clock was set back before its acceptance', async () => {
    await accept(event(1, at(60)));
    await moveClock(-HOUR);
    await accept(event(2));
    expect(await standing()).toBe(2);
    await accept(event(3, at(30)));
    expect(await standing()).toBe(2);
  });

  test('never lower the acceptance time: a row from between two values does not replace the later value', async () => {
    await accept(event(1));
    const first = await entry();
    await moveClock(-HOUR);
    await accept(event(2));
    expect((await entry())?.accepted).toBeGreaterThanOrEqual(first?.accepted ?? Number.POSITIVE_INFINITY);
  });
});

describe('events with a time', () => {
  test('apply by time, then source and id, whatever the order of arrival and the steps of the clock', async () => {
    const time = fc.integer({ min: -5, max: 0 });
    const arrivals = fc.array(fc.tuple(time, fc.integer({ min: -120, max: 120 }), fc.boolean()), {
      minLength: 2,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(arrivals, async (all) => {
        user++;
        const base = Date.now() - 10_000;
        const events = all.map(([seconds], i) => event(i, new Date(base + seconds * 1_000)));
        let batch: ContextEvent[] = [];
        for (const [i, [, step, endsBatch]] of all.entries()) {
          batch.push(events[i] as ContextEvent);
          if (!endsBatch && i < all.length - 1) continue;
          await moveClock(step);
          await accept(...batch);
          batch = [];
        }
        const key = ({ time: when, id }: ContextEvent) => `${when?.toISOString()} ${id}`;
        const winner = events.toSorted((one, other) => (key(one) < key(other) ? -1 : 1)).at(-1);
        expect(await standing()).toBe(winner?.data?.orders);
      }),
      { numRuns: 30 },
    );
  });

  test('replace an event without a time only if their time is later than its acceptance', async () => {
    await accept(event(1));
    await accept(event(2, at(-10)));
    expect(await standing()).toBe(1);
    await accept(event(3, at(60)));
    expect(await standing()).toBe(3);
  });
});

test('an entry from before the order of acceptance that lacks a time is replaced like an event without a time', async () => {
  await accept(event(1));
  await database.pool.query({
    text: `update tandem.user_contexts set features = features #- '{orders,timed}' where user_id = $1`,
    values: [String(user)],
  });
  await moveClock(-HOUR);
  await accept(event(2));
  expect(await standing()).toBe(2);
});
