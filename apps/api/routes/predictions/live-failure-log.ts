/**
 * Logs why live inference failed for users who were answered `stale` or with the default. The log takes only a share of
 * successful reads. Reads with such a failure are logged in addition, at a bounded rate.
 */
import type { Answer, ReadResult, Reason } from '@tandem/freshness/answer';
import { type Clock, TokenBucket } from '@tandem/prediction/keys/token-bucket';
import type { WideEvent } from '@tandem/telemetry/wide-event';

/** Adds the failures among a read's results to its event. */
export type LiveFailureLog = (event: Pick<WideEvent, 'add' | 'markNotable'>, results: readonly ReadResult[]) => void;

/**
 * The details of other failures may quote a user's features, which `tandem explain` shows; `overloaded` needs no detail.
 * Of a feature query that fails on some row, `live_failed` has only the SQLSTATE (run-flights.ts); of a model's error, the
 * text without its numbers (isolate-poison.ts).
 */
const LOGGED: ReadonlySet<Reason> = new Set(['live_failed', 'live_timeout']);
/** For each predictor and reason. */
const LINES_PER_SECOND = 10;
const MAX_USERS_NAMED = 10;

export function createLiveFailureLog(clock?: Clock): LiveFailureLog {
  const rates = new Map<string, TokenBucket>();

  function isWithinRate({ predictor, reason }: Answer): boolean {
    const kind = `${reason} ${predictor}`;
    const rate = rates.get(kind) ?? new TokenBucket(LINES_PER_SECOND, clock);
    rates.set(kind, rate);
    return rate.take(1) === 1;
  }

  return function note(event, results) {
    const first = results.find(isLogged);
    if (!first) return;
    event.add({
      get liveFailures() {
        return results.filter(isLogged).slice(0, MAX_USERS_NAMED).map(failureOf);
      },
    });
    if (isWithinRate(first)) event.markNotable();
  };
}

function isLogged(result: ReadResult): result is Answer {
  return 'liveFailure' in result && LOGGED.has(result.reason);
}

function failureOf({ userId, reason, liveFailure }: Answer) {
  return { userId, reason, detail: liveFailure };
}
