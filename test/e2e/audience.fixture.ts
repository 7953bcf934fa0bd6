/**
 * Readers and event writers that continue during failures, and remember acknowledgements. A wrong answer is recorded as
 * a violation. At its end, a test expects no violations.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { ManyResult } from '@tandem/client/predictions';
import type { PredictionAnswer } from '@tandem/client/wire';
import { ProblemError, UnreachableError } from '@tandem/transport/client-errors';
import { COUNT, changeSilently, type Pool } from './counts.fixture.ts';
import { clientOf } from './deployment.fixture.ts';
import type { WireWatch } from './wire-watch.fixture.ts';

export interface AudienceOptions {
  readonly pool: Pool;
  readonly urls: readonly string[];
  readonly wire: WireWatch;
  /** The number of users who are read. The first tenth of them change. */
  readonly users: number;
  readonly random: () => number;
  /** Whether an API may be unreachable at times. A call that times out is always a violation. */
  readonly mayBeGone?: boolean;
  /** The number of writers, which change users and send events through the API. Without writers, no user changes. */
  readonly writers?: number;
  readonly readers?: number;
}

/** The counts of outcomes so far. */
export interface Sightings {
  fresh: number;
  stale: number;
  refused: number;
  unreachable: number;
  acknowledged: number;
  /** The number of acknowledgements with the status `duplicate`. */
  duplicates: number;
}

export interface Audience {
  readonly seen: Readonly<Sightings>;
  readonly violations: readonly string[];
  /** While false, a fresh answer is a violation. */
  setFreshAllowed(allowed: boolean): void;
  /** Lets all readers and writers finish. Rejects with the error of a failed reader or writer. */
  stop(): Promise<void>;
}

/** The least context version and score of every fresh answer after an acknowledged event. */
interface Demand {
  readonly version: number;
  readonly score: number;
}

const NO_DEMAND: Demand = { version: 0, score: 0 };
const STALE_REASONS = ['context_newer', 'unverified', 'live_failed', 'live_timeout', 'overloaded'];
/** The pause between the calls of a reader or writer, so that the processes under test get the CPU. */
const REST_MS = 5;
/** The pause in milliseconds after an API could not be reached. */
const GONE_PAUSE_MS = 20;
/** The most violations that are recorded. Further ones would add no information. */
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
    if (label > score) wrong('the label is above the score');
    if (answer.source === 'batch' || answer.source === 'live') {
      seen.fresh++;
      if (!mayBeFresh) wrong('called fresh without a certificate');
      if (label < demand.version || score < demand.score) wrong('called fresh, but older than an acknowledged event');
    } else {
      seen.stale++;
      if (answer.source !== 'stale' || !STALE_REASONS.includes(answer.reason))
        wrong('neither fresh nor marked as stale');
    }
  }

  /** Judges a failed call. A 503, or an API that may be unreachable, is excused. Other failures are violations. */
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
      // A read during which the phase changed may have been answered in either phase.
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
    // Without the database nothing changes, so no event is sent.
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
