/**
 * Readers and event writers that continue while things break, and remember acknowledgements. An answer that cannot be
 * true is recorded; the test ends by finding no record.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { ProblemError, UnreachableError } from '@tandem/client/client-errors';
import type { ManyResult } from '@tandem/client/predictions';
import type { PredictionAnswer } from '@tandem/client/wire';
import { COUNT, changeSilently, type Pool } from './counts.fixture.ts';
import { clientOf } from './deployment.fixture.ts';
import type { WireWatch } from './wire-watch.fixture.ts';

export interface AudienceOptions {
  readonly pool: Pool;
  readonly urls: readonly string[];
  readonly wire: WireWatch;
  /** Users 1 to n are read; the first tenth of them change. */
  readonly users: number;
  readonly random: () => number;
  /** Whether an API may be gone at times; an API that does not answer in time is never excused. */
  readonly mayBeGone?: boolean;
  /** Users change by events through the API; without it, no user changes. */
  readonly writers?: number;
  readonly readers?: number;
}

/** How much was seen so far. */
export interface Sightings {
  fresh: number;
  stale: number;
  refused: number;
  unreachable: number;
  acknowledged: number;
  /** Events that had to be sent more than once. */
  duplicates: number;
}

export interface Audience {
  readonly seen: Readonly<Sightings>;
  readonly violations: readonly string[];
  /** While false, an answer that calls itself fresh is a violation. */
  setFreshAllowed(allowed: boolean): void;
  /** Lets everyone finish what they do; rejects with what broke an actor. */
  stop(): Promise<void>;
}

/** What an acknowledged event demands of every later fresh answer. */
interface Demand {
  readonly version: number;
  readonly score: number;
}

const NO_DEMAND: Demand = { version: 0, score: 0 };
const STALE_REASONS = ['context_newer', 'unverified', 'live_failed', 'live_timeout', 'overloaded'];
/** Between the acts of an actor, so that the processes under test have the CPU. */
const REST_MS = 5;
/** An API that is gone is asked again after that many milliseconds. */
const GONE_PAUSE_MS = 20;
/** Further ones would tell nothing new. */
const MANY_VIOLATIONS = 20;

export function startAudience(options: AudienceOptions): Audience {
  const { pool, urls, wire, users, random, mayBeGone = false, writers = 2, readers = 3 } = options;
  const seen: Sightings = { fresh: 0, stale: 0, refused: 0, unreachable: 0, acknowledged: 0, duplicates: 0 };
  const violations: string[] = [];
  const demands = new Map<string, Demand>();
  let stopping = false;
  let freshAllowed = true;
  let phase = 0;

  const below = (n: number) => Math.floor(random() * n);
  const anyUrl = () => urls[below(urls.length)] ?? '';
  const anyUser = (n: number) => String(1 + below(n));
  const changing = Math.max(1, Math.floor(users / 10));

  function note(violation: string): void {
    if (violations.length < MANY_VIOLATIONS) violations.push(violation);
  }

  function judge(answer: PredictionAnswer, demand: Demand, mayBeFresh: boolean): void {
    const label = answer.predictedFromContextVersion ?? -1;
    const score = Number(answer.prediction.score);
    const wrong = (why: string) => note(`${why}: ${JSON.stringify({ answer, demand })}`);
    if (label > score) wrong('the label is above what the score shows');
    if (answer.source === 'batch' || answer.source === 'live') {
      seen.fresh++;
      if (!mayBeFresh) wrong('called fresh without a certificate');
      if (label < demand.version || score < demand.score) wrong('called fresh, and older than an acknowledged event');
    } else {
      seen.stale++;
      if (answer.source !== 'stale' || !STALE_REASONS.includes(answer.reason)) wrong('no honest stale answer');
    }
  }

  /** A call's failure: refused for now, or the API is gone; all else is a violation. */
  async function excuse(error: unknown): Promise<void> {
    if (error instanceof ProblemError && error.status === 503) {
      seen.refused++;
      return;
    }
    if (!(error instanceof UnreachableError) || error.timedOut || !mayBeGone) {
      note(`${error instanceof UnreachableError && error.timedOut ? 'left hanging: ' : ''}${error}`);
    } else seen.unreachable++;
    await pause(GONE_PAUSE_MS);
  }

  async function ask(userIds: readonly string[], noCache: boolean): Promise<readonly ManyResult[]> {
    const client = clientOf(anyUrl(), wire);
    if (userIds.length > 1) return client.predictMany(COUNT, userIds, { noCache });
    const [userId = ''] = userIds;
    const { answer } = await client.predict(COUNT, userId, { noCache });
    return [{ userId, answer, problem: null }];
  }

  async function read(): Promise<void> {
    const size = random() < 0.5 ? 1 : 2 + below(20);
    // Half of the reads are of users who change.
    const from = random() < 0.5 ? changing : users;
    const userIds = Array.from({ length: size }, () => anyUser(from));
    const demanded = userIds.map((userId) => demands.get(userId) ?? NO_DEMAND);
    const before = { phase, freshAllowed };
    try {
      const results = await ask(userIds, random() < 0.1);
      // A read that saw the phase change may have been answered in either.
      const mayBeFresh = before.freshAllowed || before.phase !== phase;
      results.forEach(({ answer, problem }, i) => {
        if (answer) judge(answer, demanded[i] ?? NO_DEMAND, mayBeFresh);
        else if (problem?.status === 503) seen.refused++;
        else note(`${userIds[i]}: ${JSON.stringify(problem)}`);
      });
    } catch (error) {
      await excuse(error);
    }
  }

  async function write(): Promise<void> {
    const userId = anyUser(changing);
    // A database that is away takes no change; there is nothing to tell then.
    const score = await changeSilently(pool, userId).catch(() => null);
    if (score === null) return pause(GONE_PAUSE_MS);
    const event = { subject: userId, type: 'changed', id: randomUUID() };
    while (!stopping) {
      try {
        const [result] = await clientOf(anyUrl(), wire).sendEvents([event]);
        const version = result?.contextVersion ?? 0;
        const known = demands.get(userId) ?? NO_DEMAND;
        demands.set(userId, { version: Math.max(known.version, version), score: Math.max(known.score, score) });
        seen.acknowledged++;
        if (result?.status === 'duplicate') seen.duplicates++;
        return;
      } catch (error) {
        await excuse(error);
      }
    }
  }

  const repeat = async (act: () => Promise<void>) => {
    while (!stopping) {
      await act();
      await pause(REST_MS);
    }
  };
  const actors = [
    ...Array.from({ length: readers }, () => repeat(read)),
    ...Array.from({ length: writers }, () => repeat(write)),
  ];
  const done = Promise.all(actors);
  done.catch(() => {});
  return {
    seen,
    violations,
    setFreshAllowed(allowed) {
      freshAllowed = allowed;
      phase++;
    },
    async stop() {
      stopping = true;
      await done;
    },
  };
}
