/** The served answers of a shadow that wait for comparison: one for each user, with a limited number and rate. */
import type { Answer } from '@tandem/freshness/answer';
import { TokenBucket } from '@tandem/prediction/keys/token-bucket';
import type { CpuBudget } from '@tandem/prediction/scoring/cpu-budget';
import type { ShadowOutcome } from './shadow-counts.ts';

interface ShadowLineOptions {
  readonly maxPerSecond: number;
  readonly budget: Pick<CpuBudget, 'isSpent'>;
  /** A clock in milliseconds that only rises. */
  readonly now: () => number;
  /** The maximum number of waiting answers: a few seconds' worth, in case Postgres or the model is slow. */
  readonly most?: number;
}

const MOST_WAITING = 2_000;

export type ShadowLine = ReturnType<typeof createShadowLine>;

export function createShadowLine({ maxPerSecond, budget, now, most = MOST_WAITING }: ShadowLineOptions) {
  const waiting = new Map<string, Answer>();
  const compared = createComparedAnswers();
  const rate = new TokenBucket(maxPerSecond, now);
  return {
    get size() {
      return waiting.size;
    },
    /**
     * Adds an answer. Returns `waits`, or the outcome if it is not queued. If it replaces an earlier answer of the
     * user, the earlier one is `coalesced`.
     */
    add(answer: Answer): 'waits' | Exclude<ShadowOutcome, 'compared'> {
      const { userId, source } = answer;
      if (source === 'stale' || source === 'default') return 'not_fresh';
      if (waiting.has(userId)) {
        waiting.set(userId, answer);
        return 'coalesced';
      }
      if (compared.has(answer)) return 'repeated';
      if (waiting.size >= most) return 'over_line';
      if (budget.isSpent()) return 'over_cpu';
      if (rate.take(1) === 0) return 'over_rate';
      waiting.set(userId, answer);
      return 'waits';
    },
    /** Removes and returns the first answers, up to this many. */
    take(wanted: number): Answer[] {
      const taken: Answer[] = [];
      for (const [userId, answer] of waiting) {
        if (taken.length >= wanted) break;
        waiting.delete(userId);
        taken.push(answer);
      }
      return taken;
    },
    /** Records that an answer was compared. */
    done: (answer: Answer): void => compared.add(answer),
  };
}

// Compared answers are remembered. The same stored prediction and model version give the same comparison again, and a
// user that is read a thousand times an hour must not count a thousand times. Only digests are kept, no user ids: if
// two users share a digest, at worst a comparison is missing.

type Served = Pick<Answer, 'userId' | 'computedAt' | 'predictedFromContextVersion'>;

/** The maximum number of remembered users of a shadow, at about 50 bytes each. A forgotten user is compared again. */
const MOST_USERS = 100_000;

export function createComparedAnswers(most: number = MOST_USERS) {
  /** Digest of the user → digest of the answer. The oldest entry is removed first. */
  const compared = new Map<number, number>();
  return {
    has: (answer: Served): boolean => compared.get(digestOf(answer.userId)) === answerDigest(answer),
    add(answer: Served): void {
      const user = digestOf(answer.userId);
      compared.delete(user);
      if (compared.size >= most) compared.delete(compared.keys().next().value ?? 0);
      compared.set(user, answerDigest(answer));
    },
  };
}

function answerDigest({ computedAt, predictedFromContextVersion }: Served): number {
  return digestOf(`${computedAt}/${predictedFromContextVersion}`);
}

/** Returns a digest of 53 bits, a safe integer, from two variants of 32-bit FNV-1a. */
function digestOf(text: string): number {
  let [low, high] = [0x811c9dc5, 0x01000193];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x85ebca6b) ^ (high >>> 13);
  }
  return (high & 0x1fffff) * 2 ** 32 + (low >>> 0);
}
