/** What a session that a pooler lends costs: settings in each message, and nothing prepared. */
import { randomUUID } from 'node:crypto';
import { createEventStore } from '@tandem/offline-store/events/events';
import { createPool, query } from '@tandem/offline-store/sql/database';
import { type Figure, figureOf } from '../section.ts';
import type { Law } from './law.ts';

type Pool = ReturnType<typeof createPool>;

const ROUNDS = 5;
const CALLS = 1_500;
/** The first calls connect, and prepare what is prepared. */
const WARM = 200;

const STATEMENTS: Readonly<Record<string, (pool: Pool) => Promise<unknown>>> = {
  'smallest statement': (pool) => query(pool, { text: 'select 1' }),
  'event over HTTP': (pool) => {
    const event = { source: 'law', id: randomUUID(), type: 'x', userId: '1', time: null, data: null };
    return createEventStore(pool).accept([event]);
  },
};

async function meanMs(calls: number, call: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  for (let i = 0; i < calls; i++) await call();
  return (performance.now() - began) / calls;
}

export const pooledStatements: Law = {
  name: 'pooled-statements',
  promise: 'a statement through a pooler in transaction mode takes one round trip, and at most 0.5 ms more of Postgres',
  async measure({ env }, say) {
    const open = (throughPooler: boolean) =>
      createPool({ url: env.DATABASE_URL, throughPooler, applicationName: 'law', max: 1 });
    const [own, lent] = [open(false), open(true)];
    const figures: Figure[] = [];
    try {
      for (const [name, run] of Object.entries(STATEMENTS)) {
        const more: number[] = [];
        for (let round = 0; round <= ROUNDS; round++) {
          const calls = round === 0 ? WARM : CALLS;
          // In turn, so that a machine that has much else to do is as slow for both.
          const [ofOwn, ofLent] = [await meanMs(calls, () => run(own)), await meanMs(calls, () => run(lent))];
          say(`${name}: ${ofOwn.toFixed(3)} ms in a session of its own, ${ofLent.toFixed(3)} ms in a lent one`);
          if (round > 0) more.push(ofLent - ofOwn);
        }
        figures.push(figureOf(`${name}, more in a lent session`, 'ms', more, { most: 0.5 }));
      }
    } finally {
      await Promise.all([own.end(), lent.end()]);
    }
    return figures;
  },
};
