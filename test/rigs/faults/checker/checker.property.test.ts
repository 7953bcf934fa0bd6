/** Every legal race is accepted; histories that were tampered with, and those of a service with a flaw, are not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../../apps/shop/replay/random.ts';
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
  it('are accepted, whatever overlaps', () => {
    fc.assert(
      fc.property(world, (one) => {
        expect(check(historyOf(one))).toEqual([]);
      }),
      seeds,
    );
  });

  it('are accepted too where lines of several processes are a little out of order', () => {
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
      // Users who change all the time have an answer from a generation only rarely.
      const users = seed % 2 === 0 ? 3 : 20;
      for (const { rule } of check(historyOf({ seed, users, events: 60 }, flaw))) found.add(rule);
    }
    for (const rule of rules) expect(found).toContain(rule);
  });
});

/** One place of a history changed so that it cannot be; null where the history has no such place. */
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
    'the same, where it hides the version too',
    'stale called fresh',
    (history) =>
      withAnswer(history, isFresh, (answer, demanded) =>
        demanded > 0
          ? { ...answer, predictedFromContextVersion: demanded - 1, contextVersion: demanded - 1, score: demanded - 1 }
          : null,
      ),
  ],
  [
    'a score below what an acknowledged event counts',
    'stale called fresh',
    // Below any count: an event may count less than the version that it raised.
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
    'fresh by a reason of staleness',
    'dishonest source',
    (history) => withAnswer(history, isFresh, (answer) => ({ ...answer, reason: 'unverified' })),
  ],
  [
    'stale though nobody allowed it',
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
    'no-cache from a store',
    'directive not honoured',
    (history) =>
      withAnswer(
        history,
        (_, { directives }) => directives.noCache === true,
        (answer) => ({ ...answer, source: 'batch', reason: 'fresh' }),
      ),
  ],
  [
    'less than the token demands',
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
    'a 304 of another body',
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
    'a version of before for a new event',
    'event versions',
    (history) => withAcknowledgement(history, 'accepted', (version) => (version > 1 ? version - 1 : null)),
  ],
  [
    'an answer with a status of its own',
    'unexpected status',
    (history) => withRead(history, (read) => ({ ...read, status: 500, answers: [] })),
  ],
  [
    'a refusal without a time to come back',
    'no Retry-After',
    (history) => withRead(history, (read) => ({ ...read, status: 503, answers: [] })),
  ],
  [
    'a call that was left hanging',
    'late',
    (history) => withRead(history, (read) => ({ ...read, status: null, failure: 'timeout', answers: [] })),
  ],
  [
    'a connection refused though nothing was wrong',
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

/** The last answer that fits and that can be changed; `demanded`: the highest acknowledged version before its read. */
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
    // A repetition that is told first is the one that the others are compared with.
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
