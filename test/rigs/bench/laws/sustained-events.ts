/**
 * Sends events at the rate of a large application for a minute, in batches over the event store. The event horizon is
 * ten seconds, so retention must remove ids as fast as events arrive.
 */
import { setTimeout } from 'node:timers/promises';
import { createEventStore } from '@tandem/offline-store/events/events';
import { createExpiries, findOverdue } from '@tandem/offline-store/retention';
import { createPool } from '@tandem/offline-store/sql/database';
import { expire } from '@tandem/prediction/runs/expire';
import { type Figure, figureOf } from '../section.ts';
import type { Law } from './law.ts';

const SECONDS = 60;
const SENDERS = 4;
const BATCH = 500;
const USERS = 200_000;
const EVENTS_A_SECOND = 12_000;
/** The interval that gives a horizon of ten seconds, because retention adds an hour. The schema rejects such a horizon. */
const HORIZON = `interval '10 s' - interval '1 hour'`;

export const sustainedEvents: Law = {
  name: 'sustained-events',
  promise: `${EVENTS_A_SECOND} events a second, and retention keeps up with them`,
  async measure({ pool, env }, say): Promise<readonly Figure[]> {
    await pool.query(`alter table tandem.settings drop constraint event_horizon_above_zero;
      update tandem.settings set event_horizon = ${HORIZON};
      insert into tandem.user_contexts (user_id) select n::text from generate_series(0, ${USERS - 1}) n`);
    const events = createPool({ url: env.DATABASE_URL, max: SENDERS, applicationName: 'law-events' });
    const worker = createPool({ url: env.DATABASE_URL, max: 4, applicationName: 'law-worker' });
    try {
      const ending = new AbortController();
      const retaining = expireAgainAndAgain(worker, ending.signal);
      say(`sending events for ${SECONDS} s`);
      const slices = await sendFor(SECONDS, events);
      const overdue = (await findOverdue(worker)).find(({ table }) => table === 'event_ids')?.seconds ?? Number.NaN;
      ending.abort();
      const removed = await retaining;
      return [
        figureOf('events accepted', 'events/s', slices, { least: EVENTS_A_SECOND }),
        figureOf('ids removed meanwhile', 'rows/s', [removed / SECONDS]),
        figureOf('oldest expired id at the end, past its time', 's', [overdue], { most: 10 }),
      ];
    } finally {
      await Promise.all([events.end(), worker.end()]);
    }
  },
};

/** Runs expiry in a loop as a worker does, with a shorter pause, and returns the number of rows removed. */
async function expireAgainAndAgain(worker: ReturnType<typeof createPool>, ending: AbortSignal): Promise<number> {
  const expiries = createExpiries(worker);
  const pause = (ms: number) => setTimeout(ms, undefined, { signal: ending }).catch(() => undefined);
  let rows = 0;
  while (!ending.aborted) {
    const { rowsExpired, errors } = await expire(expiries, { stopping: ending, pause });
    if (errors.length > 0) throw new Error(errors.join(', '));
    rows += rowsExpired;
    await pause(1_000);
  }
  return rows;
}

/** Returns the events accepted per second, for each slice of ten seconds. */
async function sendFor(seconds: number, events: ReturnType<typeof createPool>): Promise<number[]> {
  const store = createEventStore(events);
  const slices: number[] = [];
  let accepted = 0;
  let sent = 0;
  let isOver = false;
  const batch = () =>
    Array.from({ length: BATCH }, () => {
      const no = sent++;
      const userId = `${Math.floor(Math.random() * USERS)}`;
      return { source: 'law', id: `${no}`, type: 'order.placed', userId, time: null, data: { orders: no } };
    });
  const sender = async () => {
    while (!isOver) {
      const results = await store.accept(batch());
      accepted += results.length;
    }
  };
  const senders = Array.from({ length: SENDERS }, sender);
  for (let slice = 0; slice < seconds / 10; slice++) {
    const [before, began] = [accepted, performance.now()];
    await setTimeout(10_000);
    slices.push(((accepted - before) / (performance.now() - began)) * 1000);
  }
  isOver = true;
  await Promise.all(senders);
  return slices;
}
