/** The parts that the actors of a load share: APIs, users, and the latest acknowledgements. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Contract, HistorySink } from '../history.ts';
import type { Api, HttpCaller } from './http-caller.ts';

export interface LoadParts {
  readonly apis: readonly Api[];
  readonly caller: HttpCaller;
  readonly sink: HistorySink;
  readonly predictor: string;
  /** The load reads users 1 to `users`, and changes users 1 to `changing`. */
  readonly users: number;
  readonly changing: number;
  readonly recent: RecentEvents;
  /** Milliseconds within which each kind of call must be answered. After that the caller stops waiting. */
  readonly deadlines: Contract['deadlines'];
  readonly isStopping: () => boolean;
}

/** The random choices of one actor. */
export interface Dice {
  /** Returns a number in [0, 1). */
  next(): number;
  /** Returns a whole number below n. */
  below(n: number): number;
  oneOf<T>(choices: readonly T[]): T;
}

export function createDice(random: () => number): Dice {
  const below = (n: number) => Math.floor(random() * n);
  return {
    next: random,
    below,
    oneOf<T>(choices: readonly T[]): T {
      const chosen = choices[below(choices.length)];
      if (chosen === undefined) throw new RangeError('nothing to choose from');
      return chosen;
    },
  };
}

export function shuffled<T>(items: readonly T[], { next }: Pick<Dice, 'next'>): readonly T[] {
  return items
    .map((item) => [next(), item] as const)
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item);
}

/** An acknowledged event, as it was sent. */
export interface RecentEvent {
  readonly source: string;
  readonly id: string;
  readonly userId: string;
  readonly type: string;
  readonly score: number;
  /** The value in its data; absent without data. */
  readonly told?: number;
  readonly changedAt: number;
  readonly firstSent: number;
  readonly contextVersion: number;
  readonly contextToken: string;
}

/** The latest acknowledged events of the current history. The database may lack events of another history. */
export interface RecentEvents {
  add(event: RecentEvent): void;
  any(dice: Dice): RecentEvent | undefined;
  /** Returns one of the last few events. A read of its user now is likely to find an outdated prediction. */
  newest(dice: Dice): RecentEvent | undefined;
}

const KEPT_EVENTS = 1_024;
const NEWEST = 8;
const LONGEST_PAUSE_MS = 200;

export function createRecentEvents(): RecentEvents {
  const kept: RecentEvent[] = [];
  let added = 0;
  const histories = new Set<string>();
  let history = '';
  const before = (n: number) => kept[(added - 1 - n) % KEPT_EVENTS];
  return {
    add(event) {
      const [own = ''] = event.contextToken.split('.');
      if (own !== history) {
        // A late acknowledgement of a lost history.
        if (histories.has(own)) return;
        histories.add(own);
        history = own;
        kept.length = 0;
        added = 0;
      }
      kept[added++ % KEPT_EVENTS] = event;
    },
    any: (dice) => (kept.length === 0 ? undefined : before(dice.below(kept.length))),
    newest: (dice) => (kept.length === 0 ? undefined : before(dice.below(Math.min(NEWEST, kept.length)))),
  };
}

/** Repeats the act of an actor until the load stops, on average at most `perSecond` times a second. */
export async function repeat(
  parts: Pick<LoadParts, 'isStopping'>,
  perSecond: number,
  act: () => Promise<void>,
): Promise<void> {
  if (perSecond <= 0) return;
  const gap = 1_000 / perSecond;
  let next = performance.now();
  while (!parts.isStopping()) {
    await act();
    next += gap;
    // Missed acts are not made up for, because a burst would follow each fault.
    next = Math.max(next, performance.now());
    await pauseUntil(next, parts.isStopping);
  }
}

/** Pauses until the moment or until the load stops. Some actors act only twice a minute. */
async function pauseUntil(moment: number, isStopping: () => boolean): Promise<void> {
  for (let wait = moment - performance.now(); wait > 0 && !isStopping(); wait = moment - performance.now()) {
    await pause(Math.min(wait, LONGEST_PAUSE_MS));
  }
}

/** The pause in milliseconds after an API refused a call or was not reached. */
export const REFUSED_PAUSE_MS = 25;
