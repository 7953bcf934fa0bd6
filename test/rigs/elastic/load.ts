/** A load for workers, drawn from a seed: the times and sizes of runs, and the times of events. */
import { createRandom } from '@tandem/experiment/distributions/random';

export interface AskedRun {
  /** The time of the request, in seconds from the start. */
  readonly at: number;
  readonly predictor: string;
  readonly users: number;
  /** The time at which the run should have ended, in seconds from the start. */
  readonly deadline: number;
}

export interface Load {
  readonly seconds: number;
  readonly runs: readonly AskedRun[];
  /** The seconds in which an event arrives, in ascending order. */
  readonly events: readonly number[];
}

const HOUR = 3_600;
const DAY = 24 * HOUR;

/**
 * Returns the load of a week. Every night at two there is a run of 60 million users. Every hour there is a run of the
 * changed users (median 400,000). Six runs a day are on request (median 1 million, between 8 and 20 h). Each run is due
 * an hour after its request. Events arrive all the time from 7 to 23 h, and about four per hour at night.
 */
export function weekOf(seed: number): Load {
  const random = createRandom(seed);
  const seconds = 7 * DAY;
  const runs: AskedRun[] = [];
  const ask = (at: number, predictor: string, users: number) => {
    runs.push({ at, predictor, users: Math.round(users), deadline: at + HOUR });
  };
  for (let day = 0; day < 7; day++) {
    ask(day * DAY + 2 * HOUR, 'everyone', 60e6);
    for (let i = 0; i < 6; i++)
      ask(Math.floor(day * DAY + (8 + 12 * random()) * HOUR), 'asked', 1e6 * spread(random, 0.8));
  }
  for (let at = HOUR / 2; at < seconds; at += HOUR) ask(at, 'changed', 4e5 * spread(random, 0.7));
  const events: number[] = [];
  for (let at = 0; at < seconds; at++) {
    const hour = (at % DAY) / HOUR;
    if ((hour >= 7 && hour < 23) || random() < 4 / HOUR) events.push(at);
  }
  return { seconds, runs: runs.toSorted((a, b) => a.at - b.at), events };
}

/**
 * Returns a load for a real check: about every 40 s a run for several workers, due after a minute. The last quarter has
 * none.
 */
export function trialOf(seed: number, seconds: number, usersPerSecond: number): Load {
  const random = createRandom(seed);
  const runs: AskedRun[] = [];
  for (let at = 2; at < seconds * 0.6; at += 20 + Math.floor(40 * random())) {
    const users = Math.round(usersPerSecond * 25 * spread(random, 0.8));
    runs.push({ at, predictor: `p${runs.length}`, users, deadline: at + 60 });
  }
  return { seconds, runs, events: [] };
}

/** Draws from a log-normal distribution with median 1. */
function spread(random: () => number, sigma: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.exp(sigma * normal);
}
