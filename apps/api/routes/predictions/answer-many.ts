/**
 * Answers many users of a predictor at once, each with a prediction or an error, in the order asked. However many they are,
 * each store is asked once. Such reads are counted, logged and noted here, whatever form the answer has.
 */
import { createPredictionCount } from '@tandem/embedded/prediction-view';
import type { ReadResult } from '@tandem/freshness/answer';
import { isTandemError, TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { Predictor } from '@tandem/freshness/predictor';
import type { ReadTimes, RequestFeatures, RequestRead } from '@tandem/freshness/read-options';
import { type KeyType, userIdProblem } from '@tandem/freshness/user-id';
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

/** The request features of a call. */
interface FeaturesOfUsers {
  /** In the order of the user ids. */
  readonly features: readonly RequestFeatures[];
  /** Returns where in the request the entry of a user stands. */
  entryOf(i: number): string;
}

interface ManyAnswers {
  readonly predictor: Predictor;
  /** In the order of the user ids. */
  readonly results: readonly ReadResult[];
  /**
   * Counts and notes the reads, and notifies shadow and explanation keeper. To be called when the reply is made.
   * @param shown the result that the caller gets for each user, if it differs; undefined: none
   */
  tell(shown?: readonly (ReadResult | undefined)[]): void;
}

/** Rejects with `unknown_predictor`, or with `unavailable` or `protocol_unknown` where no user could be answered. */
export type AnswerMany = (users: ManyUsers, event: WideEvent) => Promise<ManyAnswers>;

/** The facts of a read that are noted of each user. */
interface NotedRead {
  readonly predictor: Predictor;
  readonly ms: number;
  /** Whether a stored prediction could have answered: only then do the reads count as demand for one. */
  readonly isDemand: boolean;
}

export function createAnswerMany(dependencies: ReadDependencies): AnswerMany {
  const { readPrediction, registry, metrics, servedReads, readCounts, liveFailureLog } = dependencies;
  const count = createPredictionCount(metrics);

  function noteOne({ predictor, ms, isDemand }: NotedRead, userId: string, result: ReadResult): void {
    servedReads.note({ predictor, userId, result, ms });
    if (isDemand) readCounts.note(userId, result);
  }

  function countOne(name: string, result: ReadResult, hasFeatures: boolean): void {
    if (result instanceof TandemError) {
      metrics.predictionErrors.inc({ predictor: name, code: result.code });
      return;
    }
    const { predictor, source, reason } = result;
    count(result);
    if (hasFeatures) metrics.requestPredictions.inc({ predictor, source, reason });
  }

  return async function answerMany({ predictor: name, userIds, demanded, fieldOf, request }, event) {
    const startedAt = performance.now();
    const predictor = await registry.predictor(name);
    if (!predictor) throw unknownPredictor(name);
    const { valid, places, refused } = sort(predictor.keyType, userIds, fieldOf);
    const plain = optionsFor(demanded, predictor.policy.freshness.maxAgeMs);
    const options = request ? { ...plain, request: requestOf(request, places) } : plain;
    const times: ReadTimes = {};
    event.add(times);
    event.add({ predictor: name, users: userIds.length });
    const read = valid.length === 0 ? [] : await readPrediction(name, valid, options, times);
    const noted = { predictor, ms: performance.now() - startedAt, isDemand: request === undefined };
    const inOrder = read.values();
    const results = userIds.map((_, i) => refused.get(i) ?? (inOrder.next().value as ReadResult));

    const tell: ManyAnswers['tell'] = (shown = results) => {
      for (const [i, result] of shown.entries()) {
        if (result === undefined) continue;
        countOne(name, result, request !== undefined);
        if (!refused.has(i)) noteOne(noted, userIds[i] ?? '', result);
      }
      tellOf(shown, predictor, dependencies);
    };

    const cause = read[0];
    const ofAll = isTandemError(cause, 'unavailable', 'protocol_unknown') && read.every((result) => result === cause);
    if (ofAll) {
      for (const userId of valid) noteOne(noted, userId, cause);
      throw cause;
    }
    event.add({
      refused: refused.size,
      get answers() {
        return tally(results);
      },
    });
    if (results.some((result) => !(result instanceof TandemError) && result.liveFailure !== undefined)) {
      liveFailureLog(event, results);
    }
    return { predictor, results, tell };
  };
}

function tellOf(
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

/** Returns the ids to read, in order, with their places in the call, and by place the errors of malformed ids. */
function sort(keyType: KeyType, userIds: readonly string[], fieldOf: ManyUsers['fieldOf']) {
  const refused = new Map<number, TandemError>();
  const places: number[] = [];
  const valid = userIds.filter((userId, i) => {
    const problem = userIdProblem(keyType, userId, fieldOf(i));
    if (problem) refused.set(i, problem);
    else places.push(i);
    return problem === undefined;
  });
  return { valid, places, refused };
}

function requestOf({ features, entryOf }: FeaturesOfUsers, places: readonly number[]): RequestRead {
  return { rows: places.map((place) => features[place] ?? {}), at: (row) => entryOf(places[row] ?? 0) };
}
