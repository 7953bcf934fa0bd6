/** Measures cached reads while live inference gets many more requests than it can answer. */
import { demandFrom } from './closed-loop.ts';
import { readCached } from './held-connections.ts';
import { runOpenLoop } from './open-loop.ts';
import { STRICT } from './slow-predictors.ts';
import { goodput, type Tally, tallyOf } from './tally.ts';

export interface BesideOptions {
  readonly port: number;
  readonly users: number;
  /** The rate of reads that demand an inference. */
  readonly liveRate: number;
  readonly cachedRate: number;
  readonly seconds: number;
  /** How often the cached reads are measured alone and then beside live reads. */
  readonly rounds: number;
}

export interface Beside {
  readonly alone: readonly Tally[];
  readonly beside: readonly Tally[];
  /** The rate of fresh stored answers beside live reads, divided by the rate of cached reads alone. */
  readonly throughput: number;
}

const FRESH = 'batch fresh';
const IN_TIME_MS = 1_000;

export async function readBesideLive(options: BesideOptions): Promise<Beside> {
  const { port, users, liveRate, cachedRate, seconds, rounds } = options;
  const alone: Tally[] = [];
  const beside: Tally[] = [];
  const answered = { alone: 0, beside: 0 };
  for (let round = 0; round < rounds; round++) {
    const calm = await readCached({ port, ratePerSecond: cachedRate, seconds });
    alone.push(tallyOf(calm));
    answered.alone += goodput(calm, FRESH, IN_TIME_MS);
    const request = demandFrom(STRICT, users);
    const live = runOpenLoop({
      port,
      request,
      ratePerSecond: liveRate,
      seconds,
      maxConnections: 1_000,
      timeoutMs: 10_000,
    });
    const busy = await readCached({ port, ratePerSecond: cachedRate, seconds });
    beside.push(tallyOf(busy));
    answered.beside += goodput(busy, FRESH, IN_TIME_MS);
    await live;
  }
  return { alone, beside, throughput: answered.beside / answered.alone };
}
