/**
 * Logs why live inference failed for users who got a stale answer, the default, or an error in a read of many. Only a
 * share of successful reads is logged. Reads with such a failure are logged in addition, at a bounded rate.
 */
import type { ReadResult } from '@tandem/freshness/answer';
import { TandemError } from '@tandem/freshness/errors';
import type { Reason } from '@tandem/freshness/reasons';
import { type Clock, TokenBucket } from '@tandem/prediction/keys/token-bucket';
import type { WideEvent } from '@tandem/telemetry/wide-event';

/** The users of a read, in the order of its results. */
interface UsersOfRead {
  readonly predictor: string;
  readonly userIds: readonly string[];
}

/** Adds the failures among a read's results to its event. */
export type LiveFailureLog = (
  event: Pick<WideEvent, 'add' | 'markNotable'>,
  users: UsersOfRead,
  results: readonly ReadResult[],
) => void;

/**
 * The logged failures. Details of other failures may quote a user's features, which `tandem explain` shows, and
 * `overloaded` needs no detail. The detail of `live_failed` is safe: it has only the SQLSTATE of a feature query that
 * fails on a row (run-flights.ts), and the text of a model's error without its numbers (isolate-poison.ts).
 */
const LOGGED: ReadonlySet<string> = new Set<Reason>(['live_failed', 'live_timeout']);
/** The limit for each predictor and reason. */
const LINES_PER_SECOND = 10;
const MAX_USERS_NAMED = 10;

export function createLiveFailureLog(clock?: Clock): LiveFailureLog {
  const rates = new Map<string, TokenBucket>();

  function isWithinRate(predictor: string, { reason }: LiveFailure): boolean {
    const kind = `${reason} ${predictor}`;
    const rate = rates.get(kind) ?? new TokenBucket(LINES_PER_SECOND, clock);
    rates.set(kind, rate);
    return rate.take(1) === 1;
  }

  return function note(event, { predictor, userIds }, results) {
    const failing = results.find((result) => failureOf(result) !== undefined);
    const first = failing && failureOf(failing);
    if (!first) return;
    event.add({
      get liveFailures() {
        const all = results.flatMap((result, i) => {
          const failure = failureOf(result);
          return failure ? [{ userId: userIds[i], ...failure }] : [];
        });
        return all.slice(0, MAX_USERS_NAMED);
      },
    });
    if (isWithinRate(predictor, first)) event.markNotable();
  };
}

interface LiveFailure {
  readonly reason: string;
  readonly detail: unknown;
}

function failureOf(result: ReadResult): LiveFailure | undefined {
  if (result instanceof TandemError) {
    const { code: reason, detail } = result;
    return LOGGED.has(reason) ? { reason, detail } : undefined;
  }
  const { reason, liveFailure: detail } = result;
  return detail !== undefined && LOGGED.has(reason) ? { reason, detail } : undefined;
}
