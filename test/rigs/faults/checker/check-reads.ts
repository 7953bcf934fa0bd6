/** Checks the answers of a read against all facts that were known before the read was sent. */
import type { Read, ReadAnswer } from '../history.ts';
import type { AssignmentRule } from './assignment-rule.ts';
import { type CallChecker, headOf } from './check-calls.ts';
import { servedThoughErased } from './check-erasures.ts';
import { CARRIES_A_VALUE } from './check-events.ts';
import type { Demand } from './demands.ts';
import type { EntityTags } from './entity-tags.ts';
import type { GenerationRule } from './generation-rule.ts';
import { dishonesty, disregard, isCalledFresh } from './honest-answers.ts';
import type { Known } from './known.ts';
import type { OrderRule } from './order-rule.ts';
import type { Rule, Violations } from './violations.ts';

export interface ReadCounts {
  /** Answers that were judged, fresh or not. */
  answers: number;
  /** Judged answers that are called fresh. */
  fresh: number;
  /** Reads with a fresh answer. The answers of one read share a statement, so they are not independent trials. */
  freshReads: number;
  /** Fresh answers of users with an acknowledged change; other users cannot be stale. */
  freshOfChanged: number;
  /** Fresh answers of reads that took longer than the checker's memory. */
  unjudged: number;
  /** Maps `batch fresh`, `live context_newer`, … to counts. */
  readonly sources: Map<string, number>;
}

export interface ReadChecker {
  check(read: Read): void;
  readonly counts: ReadCounts;
}

/** Further facts that a check of an answer needs. */
export interface AnswerRules {
  readonly calls: CallChecker;
  readonly generations: GenerationRule;
  readonly assignments: AssignmentRule;
  readonly tags: EntityTags;
  readonly order: OrderRule;
}

export function createReadChecker(
  known: Known,
  { calls, generations, assignments, tags, order }: AnswerRules,
  violations: Violations,
): ReadChecker {
  const counts: ReadCounts = {
    answers: 0,
    fresh: 0,
    freshReads: 0,
    freshOfChanged: 0,
    unjudged: 0,
    sources: new Map(),
  };
  const demand: Demand = { version: 0, score: 0 };
  const changed: Demand = { version: 0, score: 0 };
  const carried: Demand = { version: 0, score: 0 };

  function note(rule: Rule, why: string, read: Read, answer: ReadAnswer): void {
    violations.note(rule, why, { answer, demand, changed, read: headOf(read) });
  }

  function checkFresh(read: Read, answer: ReadAnswer, user: number, isKnown: boolean): void {
    const { source, score, predictedFromContextVersion: label, contextVersion } = answer;
    if (!isKnown) counts.unjudged++;
    else {
      counts.fresh++;
      if (demand.version > 0) counts.freshOfChanged++;
    }
    if ((label ?? -1) < demand.version || (score ?? -1) < demand.score) {
      note('stale called fresh', `label ${label}, score ${score}`, read, answer);
    }
    if (contextVersion === null) note('dishonest source', 'fresh without a certificate', read, answer);
    else if ((label ?? -1) < contextVersion) note('stale called fresh', 'by its own word', read, answer);
    if (known.faults.isPostgresCut(read.at))
      note('fresh without Postgres', 'the API could not ask Postgres', read, answer);
    // Reads may share an inference that has already read its features, unless they demand an inference.
    if (read.directives.noCache && source === 'live' && known.changes.find(user, read.at, changed)) {
      if ((score ?? -1) < changed.score) note('features from before the request', `score ${score}`, read, answer);
    }
    checkValue(read, answer, user);
    generations.check(read, answer);
    assignments.check(read, answer, user);
    order.check(read, answer, user);
  }

  /**
   * Checks that of two values the later accepted one counts, for any change of Postgres' clock in between. A later
   * event that is not acknowledged yet may carry a lower value, because writers send old events again after a lost
   * history.
   */
  function checkValue(read: Read, answer: ReadAnswer, user: number): void {
    const { told, predictedFromContextVersion: label } = answer;
    if (told === undefined || !known.values.find(user, read.at, carried) || (told ?? 0) >= carried.score) return;
    if (known.sharing.has(user)) note('stale called fresh', `told ${told}, not ${carried.score}`, read, answer);
    if (known.sharing.has(user) || known.everErased.has(user)) return;
    for (let version = carried.version + 1; version <= (label ?? 0); version++) {
      const later = known.events.holder(user, version);
      if (later < 0 || known.events.isMarked(later, CARRIES_A_VALUE)) return;
    }
    note('older event value', `told ${told}; an event acknowledged before carried ${carried.score}`, read, answer);
  }

  function checkLabel(read: Read, answer: ReadAnswer, user: number): void {
    const { score, predictedFromContextVersion: label } = answer;
    if (label === null || score === null) return;
    if (label > score && label > score + known.unchanging(user)) {
      note('untrue label', `label ${label} is above score ${score}`, read, answer);
    }
    // The lost history may have had another event with that version.
    if (known.faults.isHistoryLost() && !isCalledFresh(answer)) return;
    const event = known.events.holder(user, label);
    if (event >= 0 && score < known.events.score(event)) {
      note('untrue label', `the event of version ${label} counts ${known.events.score(event)}`, read, answer);
    }
  }

  /** Checks an answer in any state: an unverified answer also names the model version that computed it. */
  function checkComputation(read: Read, answer: ReadAnswer): void {
    const { variant, modelVersion, computedBy, source } = answer;
    if (variant === null) note('mixed arms', 'without a variant', read, answer);
    else if (source !== 'default' && computedBy !== Number(modelVersion)) {
      note('mixed arms', `computed by model version ${computedBy}`, read, answer);
    }
    if (read.status === 200) tags.check(read, answer);
  }

  function checkDemands(read: Read, answer: ReadAnswer, user: number): void {
    checkComputation(read, answer);
    const isKnown = known.demands.find(user, read.at, demand);
    const erased = servedThoughErased(known.erasures, read, answer, user);
    if (erased !== null) note('erased user served', erased, read, answer);
    const disregarded = disregard(answer, read.directives);
    if (disregarded !== null) note('directive not honoured', disregarded, read, answer);
    const { minContext } = read.directives;
    if (minContext !== undefined && (answer.predictedFromContextVersion ?? -1) < minContext) {
      note('demanded context not met', `below ${minContext}`, read, answer);
    }
    if (answer.contextVersion !== null && answer.contextVersion < demand.version) {
      note('old certificate', `says ${answer.contextVersion}`, read, answer);
    }
    if (isCalledFresh(answer)) checkFresh(read, answer, user, isKnown);
    else if (answer.reason === 'unverified') {
      generations.checkUnverified(read, answer);
      assignments.checkUnverified(read, answer);
    }
    checkLabel(read, answer, user);
    known.learnFromAnswer(read, answer, user);
  }

  function checkAnswer(read: Read, answer: ReadAnswer, userId: string | undefined): void {
    const { status, source, reason } = answer;
    if (answer.userId !== userId) note('wrong user', `asked for ${userId}`, read, answer);
    else if (read.status === 304 && answer.etag !== read.directives.ifNoneMatch) {
      note('wrong user', 'a 304 with another tag', read, answer);
    } else if (read.many && status !== 200) calls.checkOneOfMany(status, read, answer.userId);
    else {
      count(counts.sources, `${source} ${reason}`);
      counts.answers++;
      const wrong = dishonesty(answer);
      if (wrong === null) checkDemands(read, answer, known.userOf(answer.userId));
      else note('dishonest source', wrong, read, answer);
    }
  }

  return {
    counts,
    check(read) {
      calls.check(read);
      if (read.status !== 200 && read.status !== 304) return;
      const { userIds, answers } = read;
      if (answers.length !== userIds.length) {
        violations.note('wrong user', `${answers.length} answers of ${userIds.length}`, headOf(read));
      }
      const before = counts.fresh;
      for (let i = 0; i < answers.length; i++) checkAnswer(read, answers[i] as ReadAnswer, userIds[i]);
      if (counts.fresh > before) counts.freshReads++;
    },
  };
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
