/** What those notice who only read stored predictions, while far more is asked of live inference than it can do. */
import { demandFrom } from './closed-loop.ts';
import { readCached } from './held-connections.ts';
import { runOpenLoop } from './open-loop.ts';
import { STRICT } from './slow-predictors.ts';
import { goodput, type Tally, tallyOf } from './tally.ts';

export interface BesideOptions {
  readonly port: number;
  readonly users: number;
  /** Of reads that demand an inference. */
  readonly liveRate: number;
  readonly cachedRate: number;
  readonly seconds: number;
  /** Times that the cached reads are measured alone and beside, in turn. */
  readonly rounds: number;
}

export interface Beside {
  readonly alone: readonly Tally[];
  readonly beside: readonly Tally[];
  /** Fresh stored answers a second: beside the live reads, as a share of those alone. */
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
