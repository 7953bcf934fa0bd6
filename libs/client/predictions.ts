/** Reads predictions. The demands on freshness are those of HTTP's Cache-Control. */

import { methodsOf, type RepeatedCallOptions, type Transport } from '@tandem/transport/transport';
import type { RankInput, RankingOf, UserWithFeatures } from './predictor-types.ts';
import type { PredictionAnswer, Problem } from './wire.ts';
import type { ReadMany, ReadPredictionsAnswer } from './wire-types.ts';

export type { RankInput, RankingOf, UserWithFeatures } from './predictor-types.ts';

/** The demands of a read on its answers. */
export interface PredictManyOptions extends RepeatedCallOptions {
  /** Infers now, even if a fresh prediction is stored. */
  readonly noCache?: boolean;
  /** Accepts only a stored answer. Fails with a 504 problem if the model would be needed. */
  readonly onlyIfCached?: boolean;
  /** Seconds: rejects an answer that is older. */
  readonly maxAge?: number;
  /** Seconds: also accepts an answer that has been stale for at most this time; `true` accepts any stale answer. */
  readonly maxStale?: number | true;
}

export interface PredictOptions extends PredictManyOptions {
  /** The `contextToken` of an event. Accepts only a prediction computed from that context or a newer one. */
  readonly minContext?: string;
  /** The `etag` of an answer that the caller has kept. */
  readonly ifNoneMatch?: string;
}

/** The headers of an answer. Of these, an answer of a shared request has only `age`. */
export interface AnswerHeaders {
  readonly etag: string | null;
  /**
   * The `Cache-Status` header (RFC 9211), such as `tandem; hit` or `tandem; fwd=stale; stored; detail=context_newer`.
   */
  readonly cacheStatus: string | null;
  /** Seconds since the prediction was computed. */
  readonly age: number | null;
  readonly serverTiming: string | null;
}

export interface Answered<Answer = PredictionAnswer> extends AnswerHeaders {
  readonly notModified: false;
  readonly answer: Answer;
}

/**
 * The result of a read with `ifNoneMatch` if the caller's answer is still valid. It is certified like any other read.
 */
export interface NotModified extends AnswerHeaders {
  readonly notModified: true;
  readonly answer: null;
}

/** The result of one user in a read of many. */
export type ManyResult<Answer = PredictionAnswer> =
  | { readonly userId: string; readonly answer: Answer; readonly problem: null }
  | { readonly userId: string; readonly answer: null; readonly problem: Problem };

export async function predict(
  transport: Transport,
  predictor: string,
  userId: string,
  options: PredictOptions = {},
): Promise<Answered | NotModified> {
  const { status, headers, body } = await transport.call<PredictionAnswer>({
    path: `/v1/predictions/${encodeURIComponent(predictor)}/${encodeURIComponent(userId)}`,
    ...callOf(options),
  });
  const said = answerHeaders(headers);
  if (status === 304 || body === undefined) return { ...said, notModified: true, answer: null };
  return { ...said, notModified: false, answer: body };
}

export async function predictMany(
  transport: Transport,
  predictor: string,
  userIds: readonly string[],
  options: PredictManyOptions = {},
): Promise<readonly ManyResult[]> {
  return postMany(transport, predictor, { userIds }, options);
}

async function postMany(
  transport: Transport,
  predictor: string,
  body: ReadMany,
  options: PredictManyOptions,
): Promise<readonly ManyResult[]> {
  const path = `/v1/predictions/${encodeURIComponent(predictor)}`;
  const { results } = await methodsOf(transport).post<ReadPredictionsAnswer>(path, callOf(options), body);
  return results.map((result) =>
    'error' in result
      ? { userId: result.userId, answer: null, problem: result.error }
      : { userId: result.userId, answer: result, problem: null },
  );
}

/** Infers each user with the request features of this call. A user may appear several times. */
export async function predictUsers(
  transport: Transport,
  predictor: string,
  users: readonly UserWithFeatures[],
  options: PredictManyOptions = {},
): Promise<readonly ManyResult[]> {
  return postMany(transport, predictor, { users }, options);
}

export type RankOptions = RepeatedCallOptions & Pick<PredictOptions, 'minContext'>;

/** Ranks candidates for one user by a prediction. */
export async function rank(
  transport: Transport,
  predictor: string,
  input: RankInput,
  options: RankOptions = {},
): Promise<RankingOf> {
  return methodsOf(transport).post(`/v1/rankings/${encodeURIComponent(predictor)}`, callOf(options), input);
}

/** Returns the headers and the limits of a read, which is safe to repeat. */
function callOf({ timeoutMs, retryForMs, signal, ...demands }: PredictOptions) {
  return { isRepeatable: true, headers: readHeaders(demands), timeoutMs, retryForMs, signal };
}

/** Returns the request headers that carry a caller's demands. */
export function readHeaders(options: PredictOptions): Record<string, string> {
  const { noCache, onlyIfCached, maxAge, maxStale, minContext, ifNoneMatch } = options;
  const directives = [
    noCache ? 'no-cache' : '',
    onlyIfCached ? 'only-if-cached' : '',
    maxAge === undefined ? '' : `max-age=${maxAge}`,
    maxStale === undefined ? '' : maxStale === true ? 'max-stale' : `max-stale=${maxStale}`,
  ].filter((directive) => directive !== '');
  // To a request with If-None-Match, fetch adds `Cache-Control: no-cache` (Fetch Standard, 4.5), which would demand an
  // inference. It does not if a Cache-Control exists, and this directive has no effect.
  if (ifNoneMatch !== undefined && directives.length === 0) directives.push('no-transform');
  return {
    ...(directives.length > 0 ? { 'cache-control': directives.join(', ') } : {}),
    ...(minContext === undefined ? {} : { 'prediction-min-context': minContext }),
    ...(ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }),
  };
}

function answerHeaders(headers: Headers): AnswerHeaders {
  const age = headers.get('age');
  return {
    etag: headers.get('etag'),
    cacheStatus: headers.get('cache-status'),
    age: age === null ? null : Number(age),
    serverTiming: headers.get('server-timing'),
  };
}
