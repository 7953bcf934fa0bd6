/**
 * Shows that expiry removes rows faster than events add them, for any number of kept rows, and that no event waits for
 * it.
 *
 * The test is scaled down. The cost of a batch does not depend on the number of batches, so 500,000 expired rows in
 * each table show the rate for a backlog of any size.
 */
import { setTimeout } from 'node:timers/promises';
import { createEventStore } from '@tandem/offline-store/events/events';
import { createExpiries } from '@tandem/offline-store/retention';
import { createPool } from '@tandem/offline-store/sql/database';
import { expire } from '@tandem/prediction/runs/expire';
import { type Figure, figureOf } from '../section.ts';
import type { BenchServers } from '../service.ts';
import type { Law } from './law.ts';

type Pool = BenchServers['pool'];

const EXPIRED = 500_000;
const KEPT = 2_000_000;
const DAY = 1_000_000;
/** The rate of events that two cores sustain. */
const EVENTS_A_SECOND = 12_000;

export const retention: Law = {
  name: 'retention',
  promise:
    'expiry removes rows faster than events add them, at a cost independent of the kept rows, and delays no event',
  async measure({ pool, env }, say) {
    const workers = createPool({ url: env.DATABASE_URL, max: 8, applicationName: 'law' });
    try {
      say('removing expired ids, outcomes and exposures');
      const rates = await measureRates(pool, workers);
      say('removing ids beside those that are kept');
      const costs = await measureCosts(pool, workers);
      say('dropping a day while events are sent');
      return [...rates, ...costs, ...(await measureWaits(pool, workers))];
    } finally {
      await workers.end();
    }
  },
};

const HASH = `'\\x${'00'.repeat(32)}'::bytea`;

function seedIds(pool: Pool, source: string, rows: number, daysAgo: number) {
  return pool.query(`insert into tandem.event_ids (source, id, payload_hash, user_id, context_version, accepted_at)
    select '${source}', n::text, ${HASH}, (n % 100000)::text, n, now() - interval '${daysAgo} days' + n * interval '1 ms'
    from generate_series(1, ${rows}) n`);
}

async function seedOutcomes(pool: Pool): Promise<void> {
  await pool.query(`insert into tandem.outcomes (source, id, payload_hash, user_id, name, value, time, context_version, accepted_at)
    select 'law', n::text, ${HASH}, (n % 100000)::text, 'bought', 1, now() - interval '200 days', 0,
      now() - interval '200 days' + n * interval '1 ms'
    from generate_series(1, ${EXPIRED}) n`);
}

/** Inserts exposures of a rollout that ended long ago. */
async function seedExposures(pool: Pool): Promise<void> {
  await pool.query(`insert into tandem.predictors (name, event_patterns, policy) values ('law', '{}', '{}');
    with over as (
      insert into tandem.rollouts (predictor, number, kind, state, salt, plan, overlay_floor, created_by, ended_at)
      values ('law', 1, 'ab', 'ended', 's', '{}', 0, 'law', now() - interval '200 days') returning id)
    insert into tandem.exposures (rollout_id, step, user_id, arm, source, at, context_version)
    select id, 0, n::text, 'stable', 'batch', now() - interval '200 days', 0 from over, generate_series(1, ${EXPIRED}) n`);
}

/** Measures how many rows one round of one worker removes. */
async function measureRates(pool: Pool, workers: Pool): Promise<Figure[]> {
  await seedIds(pool, 'expired', EXPIRED, 40);
  await seedOutcomes(pool);
  await seedExposures(pool);
  const began = performance.now();
  const { rowsExpired, errors } = await expire(createExpiries(workers), { pause: (ms) => setTimeout(ms) });
  const seconds = (performance.now() - began) / 1000;
  if (errors.length > 0) throw new Error(errors.join(', '));
  const left = EXPIRED * 3 - rowsExpired;
  return [
    figureOf('rows left by a round', 'count', [left], { most: 0 }),
    figureOf('rows of each of three tables that a worker removes', 'rows/s', [rowsExpired / 3 / seconds], {
      least: EVENTS_A_SECOND,
    }),
  ];
}

/** Measures a batch of ids in a table without kept rows and in one with many, and a look that finds no expired id. */
async function measureCosts(pool: Pool, workers: Pool): Promise<Figure[]> {
  const ids = createExpiries(workers).find(({ name }) => name === 'event_ids');
  if (!ids) throw new Error('ids of events do not expire');
  const batches = async (source: string) => {
    await seedIds(pool, source, 150_000, 39);
    await pool.query('update tandem.expiry_steps set position = null');
    const times: number[] = [];
    for (let isDone = false; !isDone; ) {
      const began = performance.now();
      isDone = (await ids.expireSome()).isDone;
      if (!isDone) times.push(performance.now() - began);
    }
    return figureOf('', 'ms', times).value;
  };
  await pool.query('truncate tandem.event_ids');
  const alone = await batches('alone');
  await seedIds(pool, 'kept', KEPT, 4);
  // As after any delete, new rows take the place of deleted rows.
  await pool.query('vacuum analyze tandem.event_ids');
  const beside = await batches('beside');
  const began = performance.now();
  await ids.expireSome();
  const idle = performance.now() - began;
  return [
    figureOf('batch of 10,000 ids, none kept', 'ms', [alone]),
    figureOf(`batch of ids, ${KEPT / 1e6} M kept / none kept`, 'ratio', [beside / alone], { most: 2 }),
    figureOf(`look that finds no expired id, ${KEPT / 1e6} M kept`, 'ms', [idle], { most: 100 }),
  ];
}

/** Inserts the events of a day long ago into a partition of their own. */
async function seedDay(pool: Pool): Promise<void> {
  await pool.query(`create table tandem.events_20200101 (like tandem.events);
    alter table tandem.events attach partition tandem.events_20200101 for values from ('2020-01-01') to ('2020-01-02');
    alter table tandem.events_20200101 disable trigger user;
    insert into tandem.events_20200101 (seq, source, id, type, user_id, data, accepted_at, day)
      select -n, 'law', n::text, 'law', (n % 100000)::text, '{"value": 1}', '2020-01-01', '2020-01-01'
      from generate_series(1, ${DAY}) n;
    alter table tandem.events_20200101 enable trigger user`);
}

/** Measures the longest time of an event while a day is dropped, and while nothing else happens. */
async function measureWaits(pool: Pool, workers: Pool): Promise<Figure[]> {
  await seedDay(pool);
  const days = createExpiries(workers).find(({ name }) => name === 'events');
  if (!days) throw new Error('events do not expire');
  const dropping = await longestEvent(workers, async () => {
    while (!(await days.expireSome()).isDone);
  });
  const quiet = await longestEvent(workers, async () => {});
  const [{ found } = { found: true }] = (
    await pool.query(`select to_regclass('tandem.events_20200101') is not null as found`)
  ).rows;
  return [
    figureOf('days left', 'count', [found ? 1 : 0], { most: 0 }),
    figureOf(`longest event while a day of ${DAY / 1e6} M events is dropped`, 'ms', [dropping], { most: 200 }),
    figureOf('longest event otherwise', 'ms', [quiet]),
  ];
}

/**
 * Sends events over the event store and in SQL for 3 s and until `work` ends, and returns the longest time of one, in
 * ms.
 */
async function longestEvent(pool: Pool, work: () => Promise<void>): Promise<number> {
  const store = createEventStore(pool);
  let isWorking = true;
  let longest = 0;
  let sent = 0;
  const sendUntilDone = async (send: (no: number) => Promise<unknown>) => {
    const began = performance.now();
    while (isWorking || performance.now() - began < 3_000) {
      const start = performance.now();
      await send(sent++);
      longest = Math.max(longest, performance.now() - start);
    }
  };
  const sending = [
    sendUntilDone((no) =>
      store.accept([
        { source: 'law', id: `${start}-${no}`, type: 'x', userId: `${no % 1000}`, time: null, data: null },
      ]),
    ),
    sendUntilDone((no) => pool.query('insert into tandem.events (user_id) values ($1)', [`${no % 1000}`])),
  ];
  await work();
  isWorking = false;
  await Promise.all(sending);
  return longest;
}

const start = Date.now();
