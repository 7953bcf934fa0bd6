/** The served answers of a shadow that wait to be compared: one of each user, a bounded number, as many a second as may be. */
import type { Answer } from '@tandem/freshness/answer';
import { TokenBucket } from '../keys/token-bucket.ts';
import type { CpuBudget } from '../scoring/cpu-budget.ts';
import type { ShadowOutcome } from './shadow-counts.ts';

export interface ShadowLine {
  readonly size: number;
  /** The answer waits now; or else what became of it. Where it takes the place of another, that one is `coalesced`. */
  add(answer: Answer): 'waits' | Exclude<ShadowOutcome, 'compared'>;
  /** The first so many, which then wait no more. */
  take(most: number): Answer[];
  /** An answer has been compared. */
  done(answer: Answer): void;
}

interface ShadowLineOptions {
  readonly maxPerSecond: number;
  readonly budget: Pick<CpuBudget, 'isSpent'>;
  /** Milliseconds that only ever rise. */
  readonly now: () => number;
  /** Answers that may wait: a few seconds' worth while Postgres or the model is slow, and no more. */
  readonly most?: number;
}

const MOST_WAITING = 2_000;

export function createShadowLine({ maxPerSecond, budget, now, most = MOST_WAITING }: ShadowLineOptions): ShadowLine {
  const waiting = new Map<string, Answer>();
  const compared: ComparedAnswers = createComparedAnswers();
  const rate = new TokenBucket(maxPerSecond, now);
  return {
    get size() {
      return waiting.size;
    },
    add(answer) {
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
    take(wanted) {
      const taken: Answer[] = [];
      for (const [userId, answer] of waiting) {
        if (taken.length >= wanted) break;
        waiting.delete(userId);
        taken.push(answer);
      }
      return taken;
    },
    done: (answer) => compared.add(answer),
  };
}

// Which served answers have been compared: the same stored prediction beside the same model version gives the same
// comparison again, and a user who is read a thousand times an hour must not count a thousand times. No user ids are
// kept, only digests: two users of one digest cost a comparison at worst.

interface ComparedAnswers {
  has(answer: Served): boolean;
  add(answer: Served): void;
}

type Served = Pick<Answer, 'userId' | 'computedAt' | 'predictedFromContextVersion'>;

/** Users remembered of one shadow, at about 50 bytes each; who is forgotten is compared again. */
const MOST_USERS = 100_000;

export function createComparedAnswers(most: number = MOST_USERS): ComparedAnswers {
  /** Digest of the user → digest of the answer; the one added first goes first. */
  const compared = new Map<number, number>();
  return {
    has: (answer) => compared.get(digestOf(answer.userId)) === answerDigest(answer),
    add(answer) {
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

/** FNV-1a of 32 bits, twice with other beginnings, to the 53 bits of a safe integer. */
function digestOf(text: string): number {
  let [low, high] = [0x811c9dc5, 0x01000193];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x85ebca6b) ^ (high >>> 13);
  }
  return (high & 0x1fffff) * 2 ** 32 + (low >>> 0);
}
