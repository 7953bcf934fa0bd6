/** Reads predictions, in HTTP's terms for how fresh an answer must be. */
import type { RankInput, RankingOf, UserWithFeatures } from './predictor-types.ts';
import { answerOf, type Call, type Transport } from './transport.ts';
import type { PredictionAnswer, Problem } from './wire.ts';
import type { ReadMany, ReadPredictionsAnswer } from './wire-types.ts';

export type { RankInput, RankingOf, UserWithFeatures } from './predictor-types.ts';

export interface CallOptions {
  /** Milliseconds until an attempt fails with an `UnreachableError`. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Options of a call that is safe to repeat. */
export interface RepeatedCallOptions extends CallOptions {
  /** Milliseconds from the first attempt in which another may begin; 0: one attempt. */
  readonly retryForMs?: number;
}

/** The demands of a read on its answers. */
export interface PredictManyOptions extends RepeatedCallOptions {
  /** Infer now, even if a fresh prediction is stored. */
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

/** The headers of an answer. Answers of a shared request have no headers except an age. */
export interface AnswerHeaders {
  readonly etag: string | null;
  /** RFC 9211: `tandem; hit`, `tandem; fwd=stale; stored; detail=context_newer`. */
  readonly cacheStatus: string | null;
  /** Seconds since the prediction was computed. */
  readonly age: number | null;
  readonly serverTiming: string | null;
}

export interface Answered<Answer = PredictionAnswer> extends AnswerHeaders {
  readonly notModified: false;
  readonly answer: Answer;
}

/** The answer that the caller's etag names still stands; it was checked like any other read. */
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
    headers: readHeaders(options),
    ...limitsOf(options),
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
    isRepeatable: true,
    headers: readHeaders(options),
    ...limitsOf(options),
  });
  return results.map((result) =>
    'error' in result
      ? { userId: result.userId, answer: null, problem: result.error }
      : { userId: result.userId, answer: result, problem: null },
  );
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

export type RankOptions = RepeatedCallOptions & Pick<PredictOptions, 'minContext'>;

/** Ranks candidates for one user by a prediction. */
export async function rank(
  transport: Transport,
  predictor: string,
  input: RankInput,
  options: RankOptions = {},
): Promise<RankingOf> {
  return answerOf<RankingOf>(transport, {
    method: 'POST',
    path: `/v1/rankings/${encodeURIComponent(predictor)}`,
    body: input,
    isRepeatable: true,
    headers: readHeaders(options),
    ...limitsOf(options),
  });
}

function limitsOf({
  timeoutMs,
  retryForMs,
  signal,
}: RepeatedCallOptions): Pick<Call, 'timeoutMs' | 'retryForMs' | 'signal'> {
  return { timeoutMs, retryForMs, signal };
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
