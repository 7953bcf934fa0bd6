/** Reads predictions. */

import type { UserWithFeatures } from '@tandem/transport/predictor-types';
import { callOf, type PredictManyOptions, type PredictOptions } from '@tandem/transport/read-call';
import { methodsOf, type Transport } from '@tandem/transport/transport';
import type { PredictionAnswer, Problem } from './wire.ts';
import type { ReadMany, ReadPredictionsAnswer } from './wire-types.ts';

export type { UserWithFeatures } from '@tandem/transport/predictor-types';
export type { PredictManyOptions, PredictOptions } from '@tandem/transport/read-call';

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

function answerHeaders(headers: Headers): AnswerHeaders {
  const age = headers.get('age');
  return {
    etag: headers.get('etag'),
    cacheStatus: headers.get('cache-status'),
    age: age === null ? null : Number(age),
    serverTiming: headers.get('server-timing'),
  };
}
