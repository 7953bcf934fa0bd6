/** Reading predictions: HTTP's own terms for how fresh an answer must be. */
import { answerOf, type Transport } from './transport.ts';
import type { PredictionAnswer, Problem } from './wire.ts';
import type { Rank, Ranking, ReadMany, ReadPredictionsAnswer } from './wire-types.ts';

export interface CallOptions {
  /** Milliseconds until the call fails with an `UnreachableError`. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The demands that a read of many users can make of each answer. */
export interface PredictManyOptions extends CallOptions {
  /** Infer now, whatever is stored. */
  readonly noCache?: boolean;
  /** Only a stored answer; a 504 problem where the model would be needed. */
  readonly onlyIfCached?: boolean;
  /** Seconds: nothing older. */
  readonly maxAge?: number;
  /** Seconds: a stored answer that has been stale for so long does too; `true` accepts any. */
  readonly maxStale?: number | true;
}

export interface PredictOptions extends PredictManyOptions {
  /** An event's `contextToken`: only a prediction computed from that context or a newer one. */
  readonly minContext?: string;
  /** The `etag` of an answer that the caller still has. */
  readonly ifNoneMatch?: string;
}

/** The facts that the headers state about an answer. */
export interface AnswerHeaders {
  readonly etag: string | null;
  /** RFC 9211: `tandem; hit`, `tandem; fwd=stale; stored; detail=context_newer`. */
  readonly cacheStatus: string | null;
  /** Seconds since the prediction was computed. */
  readonly age: number | null;
  readonly serverTiming: string | null;
}

export interface Answered extends AnswerHeaders {
  readonly notModified: false;
  readonly answer: PredictionAnswer;
}

/** The answer that the caller's etag names still stands; it was checked like any other read. */
export interface NotModified extends AnswerHeaders {
  readonly notModified: true;
  readonly answer: null;
}

/** One user's place in a read of many. */
export type ManyResult =
  | { readonly userId: string; readonly answer: PredictionAnswer; readonly problem: null }
  | { readonly userId: string; readonly answer: null; readonly problem: Problem };

export async function predict(
  transport: Transport,
  predictor: string,
  userId: string,
  options: PredictOptions = {},
): Promise<Answered | NotModified> {
  const { status, headers, body } = await transport.call<PredictionAnswer>({
    path: `/v1/predictions/${encodeURIComponent(predictor)}/${encodeURIComponent(userId)}`,
    headers: readHeaders(options),
    timeoutMs: options.timeoutMs,
    signal: options.signal,
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
  const { results } = await answerOf<ReadPredictionsAnswer>(transport, {
    method: 'POST',
    path: `/v1/predictions/${encodeURIComponent(predictor)}`,
    body,
    headers: readHeaders(options),
    timeoutMs: options.timeoutMs,
    signal: options.signal,
  });
  return results.map((result) =>
    'error' in result
      ? { userId: result.userId, answer: null, problem: result.error }
      : { userId: result.userId, answer: result, problem: null },
  );
}

/** A user with the request features of one call. */
export interface UserWithFeatures {
  readonly userId: string;
  readonly features: Readonly<Record<string, number | string | boolean>>;
}

/** Infers each user with the request features of this call. A user may come several times. */
export async function predictUsers(
  transport: Transport,
  predictor: string,
  users: readonly UserWithFeatures[],
  options: PredictManyOptions = {},
): Promise<readonly ManyResult[]> {
  return postMany(transport, predictor, { users }, options);
}

/** The candidates of a ranking, and how to rank them. */
export type RankInput = Rank;

export type RankOptions = CallOptions & Pick<PredictOptions, 'minContext'>;

/** Ranks candidates for one user by a prediction. */
export async function rank(
  transport: Transport,
  predictor: string,
  input: RankInput,
  options: RankOptions = {},
): Promise<Ranking> {
  return answerOf<Ranking>(transport, {
    method: 'POST',
    path: `/v1/rankings/${encodeURIComponent(predictor)}`,
    body: input,
    headers: readHeaders(options),
    timeoutMs: options.timeoutMs,
    signal: options.signal,
  });
}

/** The request headers that carry a caller's demands. */
export function readHeaders(options: PredictOptions): Record<string, string> {
  const { noCache, onlyIfCached, maxAge, maxStale, minContext, ifNoneMatch } = options;
  const directives = [
    noCache ? 'no-cache' : '',
    onlyIfCached ? 'only-if-cached' : '',
    maxAge === undefined ? '' : `max-age=${maxAge}`,
    maxStale === undefined ? '' : maxStale === true ? 'max-stale' : `max-stale=${maxStale}`,
  ].filter((directive) => directive !== '');
  // Fetch adds `Cache-Control: no-cache` of its own to a request with If-None-Match (Fetch Standard, 4.5), which would
  // demand an inference; not where there is a Cache-Control already, and this directive asks for nothing.
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
