/**
 * I9, of generations: a fresh answer of one is of the one in force. From outside: once an answer of a generation was seen,
 * no read sent later is answered from an earlier one of the same model version, unless a rollback came between; and after
 * a rollback's acknowledgement nothing is answered from the generation that it left, unless another returned to it, or a
 * rollout of its model version may have.
 *
 * A rollback works before its line is written, so what contradicts the rule is only suspected until any rollback that
 * could explain it would have been told.
 */
import type { Read, ReadAnswer, RollBack } from '../history.ts';
import { headOf } from './check-calls.ts';
import { createDemands, type Demand } from './demands.ts';
import type { Violations } from './violations.ts';

export interface GenerationRule {
  /** A fresh answer. */
  check(read: Read, answer: ReadAnswer): void;
  rolledBack(rollback: RollBack): void;
  /** A rollout of that model version may begin, with the newest generation that there is of it. */
  mayReturn(version: number): void;
  /** What is still suspected long before that moment is a violation. */
  settle(now: number): void;
  /** Whatever generations there were are of another past; reads sent until then tell nothing of this one. */
  forget(until: number): void;
}

interface Suspicion {
  readonly why: string;
  readonly read: Read;
  readonly answer: ReadAnswer;
}

/** By then a rollback that was under way is told: its sender gives it up before. */
const ROLLBACK_TOLD_MS = 20_000;
/** Suspicions at a time: each holds its read, and more would tell nothing new. */
const MOST_SUSPICIONS = 1_000;

/** @param windowMs longer than any call takes, or works after its sender has given it up */
export function createGenerationRule(windowMs: number, violations: Violations): GenerationRule {
  const seen = createDemands(windowMs);
  const newest: Demand = { version: 0, score: 0 };
  /** Generation → when its rollback was acknowledged, and of which model version it is. */
  const withdrawn = new Map<number, { readonly at: number; readonly version: number | null }>();
  let suspicions: Suspicion[] = [];
  /** Only reads sent later are judged. */
  let since = Number.NEGATIVE_INFINITY;

  function suspect(why: string, read: Read, answer: ReadAnswer): void {
    if (suspicions.length < MOST_SUSPICIONS) suspicions.push({ why, read, answer });
  }

  function forget(from: number): void {
    suspicions = [];
    withdrawn.clear();
    seen.forget();
    since = from;
  }

  return {
    forget,
    check(read, answer) {
      if (answer.generation === null || read.at <= since) return;
      const generation = Number(answer.generation);
      const version = Number(answer.modelVersion);
      const isKnown = seen.find(version, read.at, newest);
      if ((withdrawn.get(generation)?.at ?? Number.POSITIVE_INFINITY) < read.at) {
        suspect('after its rollback', read, answer);
      } else if (isKnown && generation < newest.version) {
        suspect(`${newest.version} was in force`, read, answer);
      } else seen.raise(version, read.ended, generation, 0);
    },
    rolledBack({ status, failure, at, ended, from, to, fromVersion }) {
      if (status === 200) {
        const earlier = suspicions.filter(({ read }) => read.ended < at);
        const left = new Map(withdrawn);
        forget(Math.max(since, ended));
        suspicions = earlier;
        for (const [generation, acknowledged] of left) withdrawn.set(generation, acknowledged);
        if (from !== null) withdrawn.set(Number(from), { at: ended, version: fromVersion });
        if (to !== null) withdrawn.delete(Number(to));
      } else if (failure === 'reset' || failure === 'timeout' || status === 503) {
        // It may have worked, or may work yet; nobody says between which generations.
        forget(Math.max(since, ended + windowMs));
      }
    },
    mayReturn(version) {
      for (const [generation, one] of withdrawn) if (one.version === version) withdrawn.delete(generation);
    },
    settle(now) {
      if (suspicions.length === 0) return;
      for (const { why, read, answer } of suspicions) {
        if (read.ended < now - ROLLBACK_TOLD_MS)
          violations.note('withdrawn generation', why, { answer, read: headOf(read) });
      }
      suspicions = suspicions.filter(({ read }) => read.ended >= now - ROLLBACK_TOLD_MS);
    },
  };
}
