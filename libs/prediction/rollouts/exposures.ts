/**
 * Exposures: the first time in a step of a rollout that a user is served from an arm. What a user does afterwards may be
 * the arm's doing; so may it be that a read of an arm ended in an error, and that is an exposure too: an arm whose
 * failures were left out would look better than it is.
 *
 * A process remembers whom it logged, and so hardly ever logs anybody twice. They are written in batches, a few seconds
 * later, with the moment they happened at. Declared lossy.
 */
import type { Source } from '@tandem/freshness/answer';
import type { ServedRollout } from '@tandem/freshness/certificate';
import { createUserMemory, keyOf } from './exposures-memory.ts';

/** Where an answer came from; `error`: there was none. */
export type ServedSource = Source | 'error';

export interface Exposure {
  readonly rolloutId: string;
  readonly step: number;
  readonly arm: string;
  readonly userId: string;
  readonly source: ServedSource;
  /** The user's, as the answer told it; 0 where it did not. */
  readonly contextVersion: number;
  /** Milliseconds on a clock that only goes forward, of this process. */
  readonly at: number;
}

export interface ExposedUsers {
  readonly arm: string;
  readonly source: ServedSource;
  readonly users: number;
}

/** Port: keeps those that are the first of their user, step and arm. Safe to repeat. */
export interface ExposureStore {
  /** @param now on the clock of their `at` */
  put(exposures: readonly Exposure[], now: number): Promise<void>;
}

export interface ExposureLog {
  /** What was served; logs it where it is the first this process knows of. */
  note(rollout: ServedRollout, served: Omit<Exposure, 'rolloutId' | 'step' | 'at'>): void;
  waiting(): number;
  /** Takes those that have waited longest. */
  take(limit: number): readonly Exposure[];
  /** Gives them back, to be taken first. */
  putBack(exposures: readonly Exposure[]): void;
  /** Those that found no place since the start; each is tried again when its user is next served. */
  dropped(): number;
}

export interface ExposureLogOptions {
  readonly now: () => number;
  /** Exposures that wait at most. */
  readonly maxWaiting?: number;
}

export function createExposureLog({ now, maxWaiting = 50_000 }: ExposureLogOptions): ExposureLog {
  const logged = createUserMemory();
  let waiting: Exposure[] = [];
  let drops = 0;
  return {
    note({ id, step, kind, overridden }, served) {
      // Nobody is served from a shadow; and whoever was put into an arm by hand was not put there by chance.
      if (kind === 'shadow' || overridden) return;
      const key = keyOf(served.userId, keyOf(served.arm, keyOf(id, step)));
      if (logged.has(key)) return;
      if (waiting.length >= maxWaiting) drops++;
      else {
        logged.add(key);
        waiting.push({ rolloutId: id, step, ...served, at: now() });
      }
    },
    waiting: () => waiting.length,
    take(limit) {
      const taken = waiting.slice(0, limit);
      waiting = waiting.slice(limit);
      return taken;
    },
    putBack(exposures) {
      waiting = [...exposures, ...waiting];
    },
    dropped: () => drops,
  };
}
