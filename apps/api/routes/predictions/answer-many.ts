/**
 * Answers many users of a predictor at once, each with a prediction or an error, in the order asked, and logs the call: what
 * the reads of an application do (`@tandem/embedded/read-users`), with a caller's headers, shadow and explanations.
 */
import { createReadUsers, type FeaturesOfUsers } from '@tandem/embedded/read-users';
import type { ReadResult } from '@tandem/freshness/answer';
import { TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { Predictor } from '@tandem/freshness/predictor';
import type { ReadTimes } from '@tandem/freshness/read-options';
import type { WideEvent } from '@tandem/telemetry/wide-event';
import type { ReadDependencies } from './read-one.ts';
import { type DemandedOptions, optionsFor } from './read-options.ts';

interface ManyUsers {
  readonly predictor: string;
  readonly userIds: readonly string[];
  readonly demanded: DemandedOptions;
  /** Returns where in the request a user id stands. */
  fieldOf(i: number): string;
  readonly request?: FeaturesOfUsers | undefined;
}

interface ManyAnswers {
  /** Results in the order of the user ids. */
  readonly results: readonly ReadResult[];
  /**
   * Counts and notes the reads, and notifies shadow and explanation keeper. Called when the reply is made.
   * @param shown the result that the caller gets for each user, if it differs; undefined: none
   */
  tell(shown?: readonly (ReadResult | undefined)[]): void;
}

/** Rejects with `unknown_predictor`, or with `unavailable` or `protocol_unknown` where no user could be answered. */
export type AnswerMany = (users: ManyUsers, event: WideEvent) => Promise<ManyAnswers>;

export function createAnswerMany(dependencies: ReadDependencies): AnswerMany {
  const { registry, liveFailureLog } = dependencies;
  const readUsers = createReadUsers(dependencies);
  return async function answerMany({ predictor: name, userIds, demanded, fieldOf, request }, event) {
    const predictor = await registry.predictor(name);
    if (!predictor) throw unknownPredictor(name);
    const options = optionsFor(demanded, predictor.policy.freshness.maxAgeMs);
    const times: ReadTimes = {};
    event.add(times);
    event.add({ predictor: name, users: userIds.length });
    const { results, refused, note } = await readUsers({ predictor, userIds, options, fieldOf, request }, times);
    event.add({
      refused,
      get answers() {
        return tally(results);
      },
    });
    liveFailureLog(event, { predictor: name, userIds }, results);
    return {
      results,
      tell(shown = results) {
        note(shown);
        notify(shown, predictor, dependencies);
      },
    };
  };
}

function notify(
  results: readonly (ReadResult | undefined)[],
  predictor: Predictor,
  { shadow, explanationKeeper }: Pick<ReadDependencies, 'shadow' | 'explanationKeeper'>,
): void {
  for (const result of results) {
    if (result === undefined || result instanceof TandemError) continue;
    shadow.notice(result);
    explanationKeeper.notice(result, predictor);
  }
}

/** How many of each kind: `batch fresh`, `stale live_timeout`, `error unknown_user`. Counted where the event is written. */
function tally(results: readonly ReadResult[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const result of results) {
    const kind = result instanceof TandemError ? `error ${result.code}` : `${result.source} ${result.reason}`;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
