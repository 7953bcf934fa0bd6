/**
 * Measures the cost of a session that a pooler lends. Such a session sends settings with each message, and prepares no
 * statement.
 */
import { randomUUID } from 'node:crypto';
import { createEventStore } from '@tandem/offline-store/events/events';
import { createPool, query } from '@tandem/offline-store/sql/database';
import { type Figure, figureOf, type Target } from '../section.ts';
import type { Law } from './law.ts';

type Pool = ReturnType<typeof createPool>;

/** Many short rounds: in most of them, other work on the machine slows both sides equally. */
const ROUNDS = 25;
const CALLS = 50;
/** The warm-up calls. The first ones connect, and prepare statements in the session that is not lent. */
const WARM = 100;

interface Measured {
  readonly run: (pool: Pool) => Promise<unknown>;
  readonly bound?: Target;
}

const STATEMENTS: Readonly<Record<string, Measured>> = {
  'smallest statement': { run: (pool) => query(pool, { text: 'select 1' }), bound: { most: 0.5 } },
  // Not bounded, because most of the time is the wait for the disk.
  event: {
    run: (pool) => {
      const event = { source: 'law', id: randomUUID(), type: 'x', userId: '1', time: null, data: null };
      return createEventStore(pool).accept([event]);
    },
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
      for (const [name, { run, bound }] of Object.entries(STATEMENTS)) {
        const more: number[] = [];
        for (let round = 0; round <= ROUNDS; round++) {
          const calls = round === 0 ? WARM : CALLS;
          const [ofOwn, ofLent] = [await meanMs(calls, () => run(own)), await meanMs(calls, () => run(lent))];
          if (round > 0) more.push(ofLent - ofOwn);
        }
        const figure = figureOf(`${name}, more in a lent session`, 'ms', more, bound);
        say(`${name}: ${figure.value.toFixed(3)} ms more in a lent session`);
        figures.push(figure);
      }
    } finally {
      await Promise.all([own.end(), lent.end()]);
    }
    return figures;
  },
};
