/**
 * The second example: a simulated feed in which minutes count. It is SIMULATED: no person did any of this. This file
 * defines the process with all of its numbers, and docs/value.md describes it. Every draw comes from one seed.
 */
import { normalQuantile } from '@tandem/experiment/distributions/normal';
import { createRandom } from '@tandem/experiment/distributions/random';

export const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Milliseconds for which a shown item counts. */
export const WINDOW_MS = 10 * MINUTE_MS;
export const DAYS = 7;
export const USERS = 1_000;

/** Sessions per day of a user: the mean over users, distributed by a Zipf law of the user's rank. */
const SESSIONS_A_DAY = 1;
const ZIPF_EXPONENT = 0.6;
/** The chance that the user leaves after an item of a session. */
const LEAVES = 0.12;
/** The time from an item to the next read of the same user: log-normal with a median of 60 s and 1 % under 200 ms. */
const GAP_MEDIAN_MS = MINUTE_MS;
const GAP_SIGMA = Math.log(300) / 2.326;
/** The chance that a session begins keen, and the mean time until a keen user turns idle. An idle user stays idle. */
const KEEN = 0.35;
const COOLING_MS = 20 * MINUTE_MS;
/** The chance that a shown item is opened. */
const OPENS = { keen: 0.7, idle: 0.15 };
/**
 * The log-odds that the offer at a read is taken. The `affinity` of each user is standard normal and known to the
 * model.
 */
const OFFER = { idle: -3.2, keen: 2.6, affinity: 0.6 };

/** A read with the outcome of its offer, and whether the item that is shown right after it is opened or passed. */
export interface View {
  readonly atMs: number;
  /** The chance of the outcome, which only the simulator knows. */
  readonly chance: number;
  readonly isTaken: boolean;
  readonly isOpened: boolean;
}

export interface FeedUser {
  readonly id: string;
  readonly affinity: number;
  /** Views by time, in ms from the beginning. */
  readonly views: readonly View[];
}

export interface FeedOptions {
  readonly seed: number;
  readonly users?: number;
}

/** Yields the users, the most active first. */
export function* simulateFeed({ seed, users = USERS }: FeedOptions): Generator<FeedUser> {
  const random = createRandom(seed);
  const weights = Array.from({ length: users }, (_, rank) => (rank + 1) ** -ZIPF_EXPONENT);
  const scale = (SESSIONS_A_DAY * users) / weights.reduce((sum, weight) => sum + weight);
  for (const [rank, weight] of weights.entries()) {
    const affinity = normal(random);
    const pauseMs = DAY_MS / (scale * weight);
    yield { id: `u${rank + 1}`, affinity, views: [...simulateViews(random, affinity, pauseMs)] };
  }
}

function* simulateViews(random: () => number, affinity: number, pauseMs: number): Generator<View> {
  for (let at = exponential(random, pauseMs); at < DAYS * DAY_MS; at += exponential(random, pauseMs)) {
    // The time at which the session turns idle: at its beginning, or later.
    const keenUntil = random() < KEEN ? at + exponential(random, COOLING_MS) : at;
    for (let isHere = true; isHere && at < DAYS * DAY_MS; isHere = random() >= LEAVES) {
      const isKeen = at < keenUntil;
      const chance = logistic(OFFER.idle + (isKeen ? OFFER.keen : 0) + OFFER.affinity * affinity);
      const isOpened = random() < (isKeen ? OPENS.keen : OPENS.idle);
      yield { atMs: Math.floor(at), chance, isTaken: random() < chance, isOpened };
      at += GAP_MEDIAN_MS * Math.exp(GAP_SIGMA * normal(random));
    }
  }
}

export function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function exponential(random: () => number, mean: number): number {
  return -mean * Math.log(1 - random());
}

function normal(random: () => number): number {
  return normalQuantile((random() * (2 ** 32 - 1) + 0.5) / 2 ** 32);
}
