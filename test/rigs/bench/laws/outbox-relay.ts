/**
 * Measures relays of one outbox. Each relay has its own thread, as each worker has its own process. First one and two
 * relays take turns on a long queue. Then one relay runs again after two million rows were relayed. Vacuum cannot
 * remove these rows, because a transaction stays open, as during the plan of a long run.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type Figure, figureOf } from '../section.ts';
import type { BenchServers } from '../service.ts';
import type { Law } from './law.ts';

const ROWS = 1_000_000;
const ROUNDS = 3;
const ROUND_MS = 2_000;

export const outboxRelay: Law = {
  name: 'outbox-relay',
  promise: 'two workers relay more than one worker, and relayed rows cost nothing',
  async measure(servers, say) {
    const relays = [await startRelay(servers), await startRelay(servers)] as const;
    const held = await servers.pool.connect();
    try {
      await seed(servers, ROWS);
      const [one, two] = await compareOneAndTwo(relays, say);
      await held.query('begin isolation level repeatable read');
      await held.query('select from tandem.settings');
      for (let n = 0; n < 2; n++) {
        await Promise.all(relays.map((relay) => relay.relay(600_000)));
        await seed(servers, ROWS);
      }
      say('two million rows were relayed');
      const later: number[] = [];
      for (let round = 0; round < ROUNDS; round++) later.push(await relays[0].relay(ROUND_MS));
      return figuresOf(one, two, later);
    } finally {
      held.release(true);
      for (const relay of relays) await relay.stop();
    }
  },
};

function figuresOf(one: readonly number[], two: readonly number[], later: readonly number[]): readonly Figure[] {
  const start = figureOf('', 'rows/s', one).value;
  return [
    figureOf('rows that one relay relays', 'rows/s', one),
    figureOf(
      'two relays / one',
      'ratio',
      two.map((rate, i) => rate / (one[i] ?? Number.NaN)),
      { least: 1.3 },
    ),
    figureOf(
      'one relay after 2 M rows / at the start',
      'ratio',
      later.map((rate) => rate / start),
      { least: 0.7 },
    ),
  ];
}

interface Relay {
  /** Returns the rows relayed per second. */
  relay(forMs: number): Promise<number>;
  stop(): Promise<unknown>;
}

async function startRelay({ env }: BenchServers): Promise<Relay> {
  const thread = new Worker(new URL('relay-thread.ts', import.meta.url), { workerData: env });
  await once(thread, 'message');
  return {
    async relay(forMs) {
      const startedAt = performance.now();
      thread.postMessage(forMs);
      const [{ relayed, error }] = (await once(thread, 'message')) as [{ relayed: number; error?: string }];
      if (error !== undefined) throw new Error(`a relay failed: ${error}`);
      return (relayed * 1_000) / (performance.now() - startedAt);
    },
    stop: () => thread.terminate(),
  };
}

async function compareOneAndTwo(relays: readonly [Relay, Relay], say: (line: string) => void) {
  const [one, two]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    one.push(await relays[0].relay(ROUND_MS));
    const both = await Promise.all(relays.map((relay) => relay.relay(ROUND_MS)));
    two.push(both.reduce((sum, rate) => sum + rate));
    say(`round ${round + 1}: one ${Math.round(one[round] ?? 0)}/s, two ${Math.round(two[round] ?? 0)}/s`);
  }
  return [one, two] as const;
}

/** Inserts rows of up to 3 million users, in scattered order. */
async function seed({ pool }: BenchServers, rows: number): Promise<void> {
  const text = `insert into tandem.outbox (user_id, context_version)
    select 'user-' || n::bigint * 7919 % 3000017, n from generate_series(1, $1) n`;
  await pool.query(text, [rows]);
}
