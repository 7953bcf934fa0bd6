/** Measures for how long thousands of clients can hold connections, and how much they slow other reads. */
import { setTimeout as pause } from 'node:timers/promises';
import { getRequest } from './exchange.ts';
import { runOpenLoop } from './open-loop.ts';
import type { Slowness } from './slow-clients.ts';
import { openSlowClientsApart } from './slow-clients-apart.ts';
import { LENIENT } from './slow-predictors.ts';
import { type Tally, tallyOf } from './tally.ts';

export interface HeldOptions {
  readonly port: number;
  readonly clients: number;
  readonly kinds: readonly Slowness[];
  readonly ratePerSecond: number;
  readonly seconds: number;
}

export interface Held {
  readonly alone: Tally;
  readonly beside: Tally;
  /**
   * Seconds from the last opened connection until the service held none of these connections, or Infinity if it still
   * does.
   */
  readonly reapedSeconds: number;
}

const LONGEST_SECONDS = 30;
/** The number of users in the cached reads. */
const CACHED_USERS = 100;

export async function holdConnections(options: HeldOptions): Promise<Held> {
  const alone = tallyOf(await readCached(options));
  const slow = await openSlowClientsApart(options);
  try {
    const reading = readCached(options);
    const reapedSeconds = await reaped(slow.held);
    return { alone, beside: tallyOf(await reading), reapedSeconds };
  } finally {
    slow.end();
  }
}

/** Reads cached predictions at a constant rate, over a few connections. */
export function readCached({ port, ratePerSecond, seconds }: Pick<HeldOptions, 'port' | 'ratePerSecond' | 'seconds'>) {
  const request = (n: number) => getRequest(`/v1/predictions/${LENIENT}/${1 + (n % CACHED_USERS)}`);
  return runOpenLoop({ port, ratePerSecond, seconds, request, maxConnections: 64, timeoutMs: 10_000 });
}

async function reaped(held: () => Promise<number>): Promise<number> {
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1e3;
  while (seconds() < LONGEST_SECONDS) {
    await pause(500);
    if ((await held()) === 0) return seconds();
  }
  return Number.POSITIVE_INFINITY;
}
