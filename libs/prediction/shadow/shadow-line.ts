/** The served answers of a shadow that wait to be compared: one of each user, a bounded number, as many a second as may be. */
import type { Answer } from '@tandem/freshness/answer';
import { TokenBucket } from '../keys/token-bucket.ts';
import { type ComparedAnswers, createComparedAnswers } from './compared-answers.ts';
import type { CpuBudget } from './cpu-budget.ts';
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

export interface ShadowLineOptions {
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
