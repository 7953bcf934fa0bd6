/**
 * Answers users without a fresh candidate: infers them live, or takes a lower rung of the ladder.
 */
import { findOnline } from './candidates.ts';
import { notCached } from './errors.ts';
import { answersOf, failureRung } from './ladder.ts';
import { isInferred, isLost, type LiveOutcome, type LivePredictor, predictWithin } from './live-predictor.ts';
import { certifyAgain, isAhead, type LostPastDependencies } from './lost-past.ts';
import { since } from './read-options.ts';
import type { Results } from './requested-rows.ts';
import { type CertifiedRead, isDemanded, leastLabel, type Standing, standingOf, whyLive } from './settle.ts';
import type { OnlinePredictions } from './stored-prediction.ts';

interface LiveAnswerDependencies extends LostPastDependencies {
  readonly live: LivePredictor;
  readonly online: Pick<OnlinePredictions, 'find'>;
}

type Outcomes = ReadonlyMap<string, LiveOutcome>;

const NOTHING_INFERRED: Outcomes = new Map();
const OF_LOST_PAST: LiveOutcome = Object.freeze({
  kind: 'failed',
  reason: 'live_failed',
  detail: 'the features were read before a crash of Postgres, which lost them',
});

export async function answerLive(
  stores: LiveAnswerDependencies,
  read: CertifiedRead,
  standings: readonly Standing[],
  results: Results,
): Promise<void> {
  if (read.options.onlyIfCached) {
    for (const standing of standings) results.set(standing.userId, notCached(standing.userId, read.options));
    return;
  }
  const askedAt = performance.now();
  const outcomes = await withoutLost(stores, read, standings, await infer(stores, read, standings));
  if (read.times) read.times.liveMs = since(askedAt);
  for (const standing of await withCandidates(stores, read, standings, outcomes)) {
    const outcome = outcomes.get(standing.userId);
    results.set(standing.userId, answersOf(read, standing, whyLive(read, standing), outcome));
  }
}

async function infer(
  { live }: LiveAnswerDependencies,
  read: CertifiedRead,
  standings: readonly Standing[],
): Promise<Outcomes> {
  const { predictor, version, assignment, certificate, options, requested, inferred = NOTHING_INFERRED } = read;
  const { liveTimeoutMs, live: enabled } = predictor.policy.freshness;
  const isOpen = ({ userId, user }: Standing) => !isInferred(inferred.get(userId), leastLabel(user, options));
  const left = inferred.size === 0 ? standings : standings.filter(isOpen);
  if (left.length === 0) return inferred;
  const readers = left.map((standing) => ({
    userId: standing.userId,
    minVersion: leastLabel(standing.user, options),
    // While a watch is faulted, an inference from before the read may lack a change that raised no version.
    fresh: options.noCache || assignment.isUnwatched === true,
    demanded: isDemanded(read, standing),
    rows: requested.get(standing.userId),
  }));
  const { history } = certificate;
  const request = { version, assignment, history, timeoutMs: liveTimeoutMs, enabled, readers };
  const outcomes = await predictWithin(live, request, options);
  return inferred.size === 0 ? outcomes : new Map([...inferred, ...outcomes]);
}

/** Replaces the outcomes of a lost past. An inference that several readers share may have begun before a crash. */
async function withoutLost(
  stores: LiveAnswerDependencies,
  { certificate: first, predictor, options }: CertifiedRead,
  standings: readonly Standing[],
  outcomes: Outcomes,
): Promise<Outcomes> {
  const { history } = first;
  const ahead = standings.flatMap(({ userId, user }) => {
    const outcome = options.noCache ? undefined : outcomes.get(userId);
    if (outcome?.kind !== 'predicted' || outcome.contextVersion <= user.version) return [];
    return [{ userId, label: { history, contextVersion: outcome.contextVersion } }];
  });
  if (ahead.length === 0) return outcomes;
  const found = new Map(ahead.map(({ userId, label }) => [userId, [label]]));
  const second = await certifyAgain(stores, predictor.name, first, found);
  const lost = ahead.filter(
    ({ userId, label }) => second.history !== history || isAhead(label, second.user(userId, predictor.name).version),
  );
  return lost.length === 0
    ? outcomes
    : new Map([...outcomes, ...lost.map(({ userId }) => [userId, OF_LOST_PAST] as const)]);
}

/** Looks up stored predictions after a failed demanded inference: such a read did not request them before. */
async function withCandidates(
  { online }: LiveAnswerDependencies,
  read: CertifiedRead,
  standings: readonly Standing[],
  outcomes: Outcomes,
): Promise<readonly Standing[]> {
  const { assignment, options } = read;
  const mayServe = options.noCache && failureRung(read) === 'stale';
  const failed = mayServe ? standings.filter(({ userId }) => isLost(outcomes.get(userId))) : [];
  if (failed.length === 0) return standings;
  const userIds = failed.map(({ userId }) => userId);
  const found = await findOnline(online, assignment, userIds);
  return standings.map((standing) => {
    const candidates = found?.get(standing.userId);
    return candidates ? standingOf(read, standing.userId, candidates) : standing;
  });
}
