/**
 * Remembers the user and answer of each recent entity tag. If one tag stood for two answers, a 304 could confirm the
 * prediction of another user or arm.
 */
import type { Read, ReadAnswer } from '../history.ts';
import { headOf } from './check-calls.ts';
import type { Violations } from './violations.ts';

const KEPT = 50_000;

export interface EntityTags {
  /** Records the tag of an answer that came with its body, and notes a violation if another answer has the tag. */
  check(read: Read, answer: ReadAnswer): void;
}

export function createEntityTags(violations: Violations): EntityTags {
  const known = new Map<string, string>();
  return {
    check(read, answer) {
      const { etag, userId, variant, modelVersion, generation, source, contextVersion, score } = answer;
      if (etag === undefined) return;
      const said = JSON.stringify([userId, variant, modelVersion, generation, source, contextVersion, score]);
      const before = known.get(etag);
      if (before !== undefined && before !== said) {
        violations.note('shared tag', `it was ${before}`, { answer, read: headOf(read) });
      }
      known.delete(etag);
      known.set(etag, said);
      const [oldest] = known.keys();
      if (known.size > KEPT && oldest !== undefined) known.delete(oldest);
    },
  };
}
