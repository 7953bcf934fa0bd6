/**
 * Checks I9 for generations from outside: a fresh answer of a generation is of the current generation or of its base.
 *
 * - Once a generation has answered, no later read is answered from an earlier generation of the same model version. The
 *   exceptions are the base of that generation or of a later one, and a rollback in between.
 * - After a rollback's acknowledgement, no read is answered from the generation that it left, or from its base, not even
 *   unverified. The exceptions are another rollback that returned to it, and a rollout of its model version.
 *
 * A rollback takes effect before its line is written, and a generation is current before its base is known. So a
 * contradiction is only suspected until any rollback or list that could explain it would have been recorded.
 */
import type { ListGenerations, Read, ReadAnswer, RollBack } from '../history.ts';
import { headOf } from './check-calls.ts';
import { createDemands, type Demand } from './demands.ts';
import type { Violations } from './violations.ts';

export interface GenerationRule {
  /** Checks a fresh answer. */
  check(read: Read, answer: ReadAnswer): void;
  /** Checks an unverified answer: its generation may be outdated, but not rolled back. */
  checkUnverified(read: Read, answer: ReadAnswer): void;
  rolledBack(rollback: RollBack): void;
  /** Notes that a rollout of that model version may begin, with its newest generation. */
  mayReturn(version: number): void;
  /** Notes which generations have bases, as of some moment of the call. */
  listed(list: ListGenerations): void;
  /** Turns suspicions from long before `now` into violations. */
  settle(now: number): void;
  /** Forgets all generations, which belong to another history. Reads sent until then are not judged. */
  forget(until: number): void;
}

interface Suspicion {
  readonly why: string;
  readonly read: Read;
  readonly answer: ReadAnswer;
  readonly generation: number;
  /**
   * The newest generation seen before the answer. The answer is legal if its generation is a base of this or a later
   * one.
   */
  readonly inForce: number | null;
}

/** The time within which the line of a rollback is written. The sender's timeout is shorter. */
const ROLLBACK_TOLD_MS = 20_000;
/** The most suspicions at a time. Each holds its read, and more suspicions would add no information. */
const MOST_SUSPICIONS = 1_000;
/** The most suspicions of one generation. Most of its answers are suspected until its base is known. */
const MOST_ALIKE = 20;

/** @param windowMs longer than any call lasts, also after its sender stopped waiting for it */
export function createGenerationRule(windowMs: number, violations: Violations): GenerationRule {
  const seen = createDemands(windowMs);
  const newest: Demand = { version: 0, score: 0 };
  /** Maps a generation to the time when its rollback was acknowledged, and to its model version. */
  const withdrawn = new Map<number, { readonly at: number; readonly version: number | null }>();
  let suspicions: Suspicion[] = [];
  /** Only reads sent later are judged. */
  let since = Number.NEGATIVE_INFINITY;
  /** Maps a base to the newest generation that has it. */
  const above = new Map<number, number>();
  /** When the newest list was requested. The list covers all generations that were current before. */
  let listedAt = Number.NEGATIVE_INFINITY;

  const isBase = (generation: number, inForce: number) => (above.get(generation) ?? 0) >= inForce;

  function suspect(one: Suspicion): void {
    const alike = suspicions.filter((other) => other.generation === one.generation && other.inForce === one.inForce);
    if (suspicions.length < MOST_SUSPICIONS && alike.length < MOST_ALIKE) suspicions.push(one);
  }

  /** Suspects an answer from a generation whose rollback was acknowledged before the read was sent. */
  function isWithdrawn(read: Read, answer: ReadAnswer, generation: number): boolean {
    if ((withdrawn.get(generation)?.at ?? Number.POSITIVE_INFINITY) >= read.at) return false;
    suspect({ why: 'after its rollback', read, answer, generation, inForce: null });
    return true;
  }

  function forgetAnswers(from: number): void {
    suspicions = [];
    withdrawn.clear();
    seen.forget();
    since = from;
  }

  /** Returns whether every rollback or list that could explain the suspicion has been recorded. */
  function isTold({ read }: Suspicion, now: number): boolean {
    if (now === Number.POSITIVE_INFINITY) return true;
    return read.ended < now - ROLLBACK_TOLD_MS && read.ended < listedAt;
  }

  return {
    forget(until) {
      forgetAnswers(until);
      above.clear();
      listedAt = Number.NEGATIVE_INFINITY;
    },
    checkUnverified(read, answer) {
      if (answer.generation !== null && read.at > since) isWithdrawn(read, answer, Number(answer.generation));
    },
    check(read, answer) {
      if (answer.generation === null || read.at <= since) return;
      const generation = Number(answer.generation);
      const version = Number(answer.modelVersion);
      const isKnown = seen.find(version, read.at, newest);
      if (isWithdrawn(read, answer, generation)) return;
      if (isKnown && generation < newest.version) {
        if (isBase(generation, newest.version)) return;
        const inForce = newest.version;
        suspect({ why: `${inForce} was current`, read, answer, generation, inForce });
      } else seen.raise(version, read.ended, generation, 0);
    },
    rolledBack({ status, failure, at, ended, from, to, fromVersion, fromBase = null, toBase = null }) {
      if (status === 200) {
        const earlier = suspicions.filter(({ read }) => read.ended < at);
        const left = new Map(withdrawn);
        forgetAnswers(Math.max(since, ended));
        suspicions = earlier;
        for (const [generation, acknowledged] of left) withdrawn.set(generation, acknowledged);
        for (const one of numbersOf(from, fromBase)) withdrawn.set(one, { at: ended, version: fromVersion });
        for (const one of numbersOf(to, toBase)) withdrawn.delete(one);
      } else if (failure === 'reset' || failure === 'timeout' || status === 503 || status === 504) {
        // The rollback may have taken effect, or may still; its generations are unknown.
        forgetAnswers(Math.max(since, ended + windowMs));
      }
    },
    mayReturn(version) {
      for (const [generation, one] of withdrawn) if (one.version === version) withdrawn.delete(generation);
    },
    listed({ status, at, bases }) {
      if (status !== 200) return;
      listedAt = Math.max(listedAt, at);
      for (const { generation, base } of bases) {
        above.set(Number(base), Math.max(Number(generation), above.get(Number(base)) ?? 0));
      }
      suspicions = suspicions.filter(({ generation, inForce }) => inForce === null || !isBase(generation, inForce));
    },
    settle(now) {
      if (suspicions.length === 0) return;
      for (const one of suspicions) {
        if (!isTold(one, now)) continue;
        const { why, read, answer } = one;
        violations.note('withdrawn generation', why, { answer, read: headOf(read) });
      }
      suspicions = suspicions.filter((one) => !isTold(one, now));
    },
  };
}

/** Returns the numbers of a generation and its base, without those that are null. */
function numbersOf(...texts: readonly (string | null)[]): readonly number[] {
  return texts.filter((text) => text !== null).map(Number);
}
