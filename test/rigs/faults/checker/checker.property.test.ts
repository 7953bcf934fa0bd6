/** The checker accepts every legal race. It rejects manipulated histories, and histories of a flawed service. */

import { createRandom } from '@tandem/experiment/distributions/random';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Operation, Read, ReadAnswer, SendEvents } from '../history.ts';
import { createChecker } from './checker.ts';
import { type Flaw, simulate } from './simulated-service.fixture.ts';
import type { Rule, Violation } from './violations.ts';

const seeds = { numRuns: 60 };
const fewerSeeds = { numRuns: 30 };
const world = fc.record({
  seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  users: fc.integer({ min: 1, max: 6 }),
  events: fc.integer({ min: 1, max: 60 }),
});

interface World {
  readonly seed: number;
  readonly users: number;
  readonly events: number;
}

function historyOf({ seed, users, events }: World, flaw?: Flaw): Operation[] {
  return simulate({ random: createRandom(seed), users, events, ...(flaw ? { flaw } : {}) });
}

function check(history: readonly Operation[]): readonly Violation[] {
  const checker = createChecker();
  for (const operation of history) checker.write(operation);
  checker.close();
  return checker.violations.first;
}

describe('legal histories', () => {
  it('are accepted, whichever operations overlap', () => {
    fc.assert(
      fc.property(world, (one) => {
        expect(check(historyOf(one))).toEqual([]);
      }),
      seeds,
    );
  });

  it('are accepted if lines of several processes are slightly out of order', () => {
    fc.assert(
      fc.property(world, (one) => {
        const random = createRandom(one.seed);
        const late = new Map(historyOf(one).map((operation) => [operation, operation.ended + random() * 5]));
        const shuffled = [...late].sort(([, a], [, b]) => a - b).map(([operation]) => operation);
        expect(check(shuffled)).toEqual([]);
      }),
      seeds,
    );
  });
});

describe('a service with a flaw', () => {
  it.each<[Flaw, readonly Rule[]]>([
    ['old authority', ['stale called fresh']],
    ['version after context', ['untrue label']],
    ['label at completion', ['untrue label', 'stale called fresh']],
    ['late raise', ['stale called fresh']],
    ['no memory of ids', ['event versions']],
    ['joined too late', ['stale called fresh', 'features from before the request']],
    ['old pointer', ['withdrawn generation']],
  ])('%s: is caught', (flaw, rules) => {
    const found = new Set<Rule>();
    for (let seed = 1; seed <= 15; seed++) {
      // Users who change often rarely get an answer from a generation.
      const users = seed % 2 === 0 ? 3 : 20;
      for (const { rule } of check(historyOf({ seed, users, events: 60 }, flaw))) found.add(rule);
    }
    for (const rule of rules) expect(found).toContain(rule);
  });
});

/** Changes one operation of a history so that the history is impossible; null if it has no such operation. */
type Mutant = (history: readonly Operation[]) => readonly Operation[] | null;

const mutants: readonly (readonly [name: string, rule: Rule, mutate: Mutant])[] = [
  [
    'a fresh answer from before an acknowledged event',
    'stale called fresh',
    (history) =>
      withAnswer(history, isFresh, (answer, demanded) =>
        demanded > 0 ? { ...answer, predictedFromContextVersion: demanded - 1, contextVersion: demanded } : null,
      ),
  ],
  [
    'the same, with a lowered context version and score',
    'stale called fresh',
    (history) =>
      withAnswer(history, isFresh, (answer, demanded) =>
        demanded > 0
          ? { ...answer, predictedFromContextVersion: demanded - 1, contextVersion: demanded - 1, score: demanded - 1 }
          : null,
      ),
  ],
  [
    'a score below the count of an acknowledged event',
    'stale called fresh',
    // -1 is below any count: an event's count may be lower than the version that it raised.
    (history) => withAnswer(history, isFresh, (answer, demanded) => (demanded > 0 ? { ...answer, score: -1 } : null)),
  ],
  [
    'a label above the score',
    'untrue label',
    (history) =>
      withAnswer(
        history,
        () => true,
        (answer) => ({ ...answer, predictedFromContextVersion: (answer.score ?? 0) + 1 }),
      ),
  ],
  [
    'an old certificate on an answer that is not fresh',
    'old certificate',
    (history) =>
      withAnswer(
        history,
        (answer) => answer.source === 'stale',
        (answer, demanded) => (demanded > 0 ? { ...answer, contextVersion: demanded - 1 } : null),
      ),
  ],
  [
    "another user's answer",
    'wrong user',
    (history) =>
      withAnswer(
        history,
        () => true,
        (answer) => ({ ...answer, userId: `${answer.userId}0` }),
      ),
  ],
  [
    'a fresh answer with a reason of stale answers',
    'dishonest source',
    (history) => withAnswer(history, isFresh, (answer) => ({ ...answer, reason: 'unverified' })),
  ],
  [
    'a stale answer that the caller did not allow',
    'directive not honoured',
    (history) =>
      withAnswer(
        history,
        (_, { directives }) => directives.maxStale === undefined && !directives.noCache,
        (answer) => ({
          ...answer,
          source: 'stale',
          reason: 'context_newer',
        }),
      ),
  ],
  [
    'a stored answer to no-cache',
    'directive not honoured',
    (history) =>
      withAnswer(
        history,
        (_, { directives }) => directives.noCache === true,
        (answer) => ({ ...answer, source: 'batch', reason: 'fresh' }),
      ),
  ],
  [
    'a label below the demanded context',
    'demanded context not met',
    (history) =>
      withAnswer(
        history,
        (_, { directives }) => (directives.minContext ?? 0) > 0,
        (answer, _, { directives }) => ({
          ...answer,
          predictedFromContextVersion: (directives.minContext ?? 0) - 1,
        }),
      ),
  ],
  [
    'a 304 with the tag of another body',
    'wrong user',
    (history) =>
      withAnswer(
        history,
        (_, { status }) => status === 304,
        (answer) => ({ ...answer, etag: 'other' }),
      ),
  ],
  [
    'another version for a repeated event',
    'event versions',
    (history) => withAcknowledgement(history, 'duplicate', (version) => version + 1),
  ],
  [
    'an earlier version for a new event',
    'event versions',
    (history) => withAcknowledgement(history, 'accepted', (version) => (version > 1 ? version - 1 : null)),
  ],
  [
    'an answer with a status that no route promises',
    'unexpected status',
    (history) => withRead(history, (read) => ({ ...read, status: 500, answers: [] })),
  ],
  [
    'a refusal without Retry-After',
    'no Retry-After',
    (history) => withRead(history, (read) => ({ ...read, status: 503, answers: [] })),
  ],
  [
    'a call without an answer',
    'late',
    (history) => withRead(history, (read) => ({ ...read, status: null, failure: 'timeout', answers: [] })),
  ],
  [
    'a refused connection without a fault',
    'unreachable without a fault',
    (history) => withRead(history, (read) => ({ ...read, status: null, failure: 'refused', answers: [] })),
  ],
];

describe('one change to a legal history', () => {
  it.each(mutants)('%s: is caught', (_, rule, mutate) => {
    let tried = 0;
    fc.assert(
      fc.property(world, (one) => {
        const mutant = mutate(historyOf(one));
        if (mutant === null) return;
        tried++;
        expect(check(mutant).map((violation) => violation.rule)).toContain(rule);
      }),
      fewerSeeds,
    );
    expect(tried).toBeGreaterThan(5);
  });
});

function isFresh({ source }: ReadAnswer): boolean {
  return source === 'batch' || source === 'live';
}

/** Changes the last fitting answers. `demanded` is the highest version of the user acknowledged before the read. */
function withAnswer(
  history: readonly Operation[],
  fits: (answer: ReadAnswer, read: Read) => boolean,
  change: (answer: ReadAnswer, demanded: number, read: Read) => ReadAnswer | null,
): readonly Operation[] | null {
  for (const [i, read] of [...history.entries()].reverse()) {
    if (read.kind !== 'read') continue;
    const answers = read.answers.map((answer) => {
      const demanded = acknowledgedBefore(history, answer.userId, read.at);
      return answer.status === 200 && fits(answer, read) ? change(answer, demanded, read) : null;
    });
    if (answers.every((answer) => answer === null)) continue;
    return history.with(i, { ...read, answers: answers.map((answer, j) => answer ?? (read.answers[j] as ReadAnswer)) });
  }
  return null;
}

function acknowledgedBefore(history: readonly Operation[], userId: string, at: number): number {
  const before = history.filter((one): one is SendEvents => one.kind === 'event' && one.ended < at);
  const versions = before.flatMap(({ events, results }) =>
    results.filter((_, i) => events[i]?.userId === userId).map(({ contextVersion }) => contextVersion),
  );
  return Math.max(0, ...versions);
}

function withAcknowledgement(
  history: readonly Operation[],
  status: 'accepted' | 'duplicate',
  change: (version: number) => number | null,
): readonly Operation[] | null {
  for (const [i, call] of [...history.entries()].reverse()) {
    const [result] = call.kind === 'event' ? call.results : [];
    if (call.kind !== 'event' || result?.status !== status) continue;
    const contextVersion = change(result.contextVersion);
    // The checker compares repetitions with the first acknowledgement, so a changed first one is not a violation.
    if (contextVersion === null || (status === 'duplicate' && !isToldBefore(history, i, result.id))) continue;
    const told = { ...result, contextVersion, contextToken: `0123456789abcdef.${contextVersion}` };
    return history.with(i, { ...call, results: [told] });
  }
  return null;
}

function isToldBefore(history: readonly Operation[], i: number, id: string): boolean {
  return history.slice(0, i).some((one) => one.kind === 'event' && one.results[0]?.id === id);
}

function withRead(history: readonly Operation[], change: (read: Read) => Read): readonly Operation[] | null {
  const i = history.findLastIndex(({ kind }) => kind === 'read');
  const read = history[i];
  return read?.kind === 'read' ? history.with(i, change(read)) : null;
}
