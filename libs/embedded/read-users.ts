/**
 * Reads many users of a predictor for an API or an application, with one request to each store for each hundred users.
 * Each user gets a prediction or an error, in the order of the call. Reads are counted here in
 * metrics, and observers are notified of each answer.
 */
import type { ReadResult } from '@tandem/freshness/answer';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import type { Predictor } from '@tandem/freshness/predictor';
import type { ReadOptions, ReadTimes, RequestFeatures, RequestRead } from '@tandem/freshness/read-options';
import type { PredictionReader } from '@tandem/freshness/reader';
import { type KeyType, userIdProblem } from '@tandem/freshness/user-id';
import type { Metrics } from '@tandem/telemetry/metrics';
import type { OnAnswer } from './observe-answers.ts';
import { createPredictionCount } from './prediction-view.ts';

export interface ReadUsersDependencies {
  readonly readPrediction: PredictionReader;
  readonly metrics: Pick<Metrics, 'predictions' | 'refreshHits' | 'predictionErrors' | 'requestPredictions'>;
  readonly onAnswer: OnAnswer;
}

export interface AskedUsers {
  readonly predictor: Predictor;
  readonly userIds: readonly string[];
  readonly options: ReadOptions;
  /** Returns the path of a user id in the call, such as `userIds[3]`. */
  fieldOf(i: number): string;
  readonly request?: FeaturesOfUsers | undefined;
}

/** The request features of a call. */
export interface FeaturesOfUsers {
  /** Features in the order of the user ids. */
  readonly features: readonly RequestFeatures[];
  /** Returns the path of a user's entry in the call, such as `users[3]`. */
  entryOf(i: number): string;
}

interface UsersRead {
  /** Results in the order of the user ids. */
  readonly results: readonly ReadResult[];
  /** The number of users with a malformed id. */
  readonly refused: number;
  /**
   * Counts the reads and notifies the observers, after the reply was made.
   * @param shown the result that the caller gets for each user, if it differs; undefined for a user without a reply
   */
  note(shown?: readonly (ReadResult | undefined)[]): void;
}

/**
 * Reads users. Rejects with `unavailable` or `protocol_unknown` if no user could be answered, and counts these errors.
 */
export type ReadUsers = (asked: AskedUsers, times?: ReadTimes) => Promise<UsersRead>;

export function createReadUsers(dependencies: ReadUsersDependencies): ReadUsers {
  const { readPrediction, metrics, onAnswer } = dependencies;
  const countPrediction = createPredictionCount(metrics);

  function count(name: string, result: ReadResult, hasFeatures: boolean): void {
    if (result instanceof TandemError) {
      metrics.predictionErrors.inc({ predictor: name, code: result.code });
      return;
    }
    const { predictor, source, reason } = result;
    countPrediction(result);
    if (hasFeatures) metrics.requestPredictions.inc({ predictor, source, reason });
  }

  return async function readUsers({ predictor, userIds, options: plain, fieldOf, request }, times) {
    const startedAt = performance.now();
    const { name } = predictor;
    const { valid, places, refused } = sort(predictor.keyType, userIds, fieldOf);
    const options = request ? { ...plain, request: requestOf(request, places) } : plain;
    const read = valid.length === 0 ? [] : await readPrediction(name, valid, options, times);
    const ms = performance.now() - startedAt;
    const inOrder = read.values();
    const results =
      refused.size === 0 ? read : userIds.map((_, i) => refused.get(i) ?? (inOrder.next().value as ReadResult));

    function note(shown: readonly (ReadResult | undefined)[] = results): void {
      for (const [i, result] of shown.entries()) {
        if (result === undefined) continue;
        count(name, result, request !== undefined);
        if (refused.has(i)) continue;
        const userId = userIds[i] ?? '';
        onAnswer({ predictor, userId, result, ms, features: request ? 'request' : 'stored' });
      }
    }

    const [cause] = read;
    if (isOutage(cause) && read.every(isOutage)) {
      note(results.map((result) => (isOutage(result) ? result : undefined)));
      throw cause;
    }
    return { results, refused: refused.size, note };
  };
}

function isOutage(result: unknown): result is TandemError {
  return isTandemError(result, 'unavailable', 'protocol_unknown');
}

const NONE_REFUSED: ReadonlyMap<number, TandemError> = new Map();

/** Returns the ids to read with their positions in the call, and the errors of malformed ids by position. */
function sort(keyType: KeyType, userIds: readonly string[], fieldOf: AskedUsers['fieldOf']) {
  let refused: Map<number, TandemError> | undefined;
  const places: number[] = [];
  for (const [i, userId] of userIds.entries()) {
    const problem = userIdProblem(keyType, userId, fieldOf(i));
    if (problem) {
      refused ??= new Map();
      refused.set(i, problem);
    } else places.push(i);
  }
  if (!refused) return { valid: userIds, places, refused: NONE_REFUSED };
  return { valid: places.map((place) => userIds[place] ?? ''), places, refused };
}

function requestOf({ features, entryOf }: FeaturesOfUsers, places: readonly number[]): RequestRead {
  return { rows: places.map((place) => features[place] ?? {}), at: (row) => entryOf(places[row] ?? 0) };
}
