/**
 * Which served answers have been compared: the same stored prediction beside the same model version gives the same
 * comparison again, and a user who is read a thousand times an hour must not count a thousand times. No user ids are
 * kept, only digests: two users of one digest cost a comparison at worst.
 */
import type { Answer } from '@tandem/freshness/answer';

export interface ComparedAnswers {
  has(answer: Served): boolean;
  add(answer: Served): void;
}

export type Served = Pick<Answer, 'userId' | 'computedAt' | 'predictedFromContextVersion'>;

/** Users remembered of one shadow, at some 50 bytes each; who is forgotten is compared again. */
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
