/**
 * The load that measures re-scoring, as docs/benchmarks.md defines it. Events and reads come at constant rates, and users are
 * drawn by a Zipf law. Each event causes a read of the same user after a log-normal delay. When no such read is due, a user
 * drawn by that law is read, so that the rate of reads is constant. Random numbers are seeded: a round has the same load with
 * re-scoring on and off.
 */
import { setTimeout } from 'node:timers/promises';
import { createUserPicker } from './pick-users.ts';

export const LOAD = Object.freeze({
  eventsPerSecond: 1_000,
  /** The share of events sent over HTTP; the others are rows that an application inserts. */
  overHttp: 0.5,
  readsPerSecond: 2_000,
  /** The median delay from an event to the read that it causes. */
  medianDelayMs: 60_000,
  shortDelayMs: 200,
  shareOfShort: 0.01,
  seed: 20_261_129,
});

/** Returns whether the body of an answer says that the prediction was stored and is fresh. */
export function isStoredFresh(body: string): boolean {
  return /"source":"(batch|live)","reason":"fresh"/.test(body);
}

/** The standard normal quantile of 0.01. */
const QUANTILE_OF_SHORT = -2.326_347_9;
const SIGMA = Math.log(LOAD.shortDelayMs / LOAD.medianDelayMs) / QUANTILE_OF_SHORT;

export type Random = () => number;

/** Creates a random number generator: mulberry32 by Tommy Ettinger (public domain). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draws the delay from an event to the read that it causes, in ms. */
export function drawDelay(random: Random): number {
  // Box and Muller; 1 - random() is never 0.
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return LOAD.medianDelayMs * Math.exp(SIGMA * normal);
}

export interface UserLoad {
  /** Returns the number of the user of the nth event. */
  eventUser(n: number): number;
  /** Returns the number of the user of the nth read. */
  readUser(n: number): number;
}

/**
 * The number of drawn users. Events use the first half and reads the second half. It suffices for rounds of four
 * minutes.
 */
const DRAWN = 2 ** 20;

/** Draws the users of a round. */
export function createUserLoad(users: number, exponent: number): UserLoad {
  const random = createRandom(LOAD.seed);
  const pick = createUserPicker(users, exponent, random);
  // Users are drawn in advance, because the user of the nth request must not depend on the order of the requests.
  const drawn = Uint32Array.from({ length: DRAWN }, pick);
  /** Maps the number of a read to the users whose events cause that read. */
  const called = new Map<number, number[]>();
  const late: number[] = [];
  return {
    eventUser(n) {
      const user = drawn[n % DRAWN] ?? 0;
      const dueMs = (n * 1_000) / LOAD.eventsPerSecond + drawDelay(random);
      const read = Math.ceil((dueMs * LOAD.readsPerSecond) / 1_000);
      called.set(read, [...(called.get(read) ?? []), user]);
      return user;
    },
    readUser(n) {
      late.push(...(called.get(n) ?? []));
      called.delete(n);
      return late.shift() ?? drawn[(n + DRAWN / 2) % DRAWN] ?? 0;
    },
  };
}

const STEP_MS = 10;

/** Calls `send` with the numbers of the requests that are due, at a constant rate. Rejects if `send` rejects. */
export async function atRate(perSecond: number, seconds: number, send: (from: number, to: number) => Promise<unknown>) {
  const startedAt = performance.now();
  const total = Math.round(perSecond * seconds);
  const underWay = new Set<Promise<unknown>>();
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) * perSecond) / 1_000));
    if (due > sent) {
      const one = send(sent, due).finally(() => underWay.delete(one));
      underWay.add(one);
      sent = due;
    }
    await setTimeout(STEP_MS);
  }
  await Promise.all(underWay);
}
