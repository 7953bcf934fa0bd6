/**
 * Every error of the service as an HTTP problem (RFC 9457). One table maps each code to its status and title; the
 * OpenAPI document and the docs page list it. `type` is `urn:tandem:problem:<code>`, and it is stable, so that programs
 * can react to it.
 */

import { ERROR_KINDS, type ErrorCode } from '@tandem/freshness/error-codes';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { type Reply, responseOf } from '@tandem/http-server/reply';
import { sqlState } from '@tandem/offline-store/sql/database';

const TEXTS: Readonly<Record<ErrorCode, readonly [title: string, when: string]>> = {
  malformed_request: ['Malformed request', 'a header, the path or the JSON cannot be parsed'],
  unauthorized: ['Unauthorized', 'the API key is missing or not valid'],
  forbidden: [
    'Forbidden',
    'a web page of another origin sent a request that changes data, or `Host` names another machine',
  ],
  missing_scope: ['Missing scope', 'the API key does not have the scope that the path needs'],
  no_such_path: ['No such path', 'the path does not exist; /docs lists all paths'],
  unknown_predictor: ['Unknown predictor', 'no predictor of this name is adopted'],
  unknown_user: ['Unknown user', 'the user has no prediction and no feature row, or was erased'],
  unknown_run: ['Unknown run', 'no run has this id'],
  unknown_generation: ['Unknown generation', 'the generation does not exist, or is no longer kept'],
  unknown_rollout: ['Unknown rollout', 'no rollout has this id'],
  unknown_model_version: ['Unknown model version', 'the predictor has no model version with this number'],
  unknown_explanation: ['Unknown explanation', 'no explanation has this id, or it has expired'],
  unknown_artifact: ['Unknown artifact', 'no complete model file with this hash is stored'],
  method_not_allowed: ['Method not allowed', 'the path exists with other methods; `Allow` names them'],
  not_acceptable: ['Not acceptable', '`Accept` excludes the media type of the path'],
  request_timeout: ['Request timeout', 'the request did not arrive in time'],
  event_conflict: ['Event id used before', 'the same source and id were sent before with other content'],
  outcome_conflict: ['Outcome id used before', 'the same source and id were sent before with other content'],
  run_conflict: [
    'Run conflict',
    'the state of the run does not allow the request, or a run of scope `all` is in progress',
  ],
  rollout_conflict: [
    'Rollout conflict',
    'another rollout is active, or the state of the rollout does not allow the request',
  ],
  never_stable: ['Never stable', 'the model version has never been stable, and `force` is not set'],
  version_unverified: ['Model version unverified', 'the model version has no certificate of a trial'],
  version_archived: ['Model version archived', 'the model version is archived'],
  version_in_use: ['Model version in use', 'an arm serves the model version'],
  history_changed: ['History changed', 'the context token belongs to another history of the database'],
  context_not_reached: ['Context not reached', "the context token names a version above the user's context version"],
  precondition_failed: [
    'Precondition failed',
    '`If-Match` names a tag, which never matches because all answers have weak tags',
  ],
  body_too_large: [
    'Body too large',
    'the body is larger than the service reads, or uploads that no model version uses have reached their limit',
  ],
  unsupported_media_type: [
    'Unsupported media type',
    'the service does not take this content type, charset or content encoding',
  ],
  invalid_input: ['Invalid input', 'the request is well-formed, but a value is not allowed; `field` names the value'],
  config_invalid: ['Invalid configuration', 'the configuration is invalid; `field` names the setting'],
  model_refused: ['Model rejected', 'the model file or its signature is rejected'],
  features_failed: [
    'Feature query failed',
    "the feature query fails for the user, and no lower rung may answer; a retry helps only after the user's rows or the query change",
  ],
  request_features_required: [
    'Request features required',
    'the predictor has request features without a default, and the request does not send them',
  ],
  features_unusable: [
    'Features unusable',
    "the model cannot take the user's features, and no lower rung may answer; a retry helps only after the features change",
  ],
  output_unusable: [
    'Output unusable',
    'the model returns NaN or Infinity for this user, and no lower rung may answer; a retry helps only after the features or the model change',
  ],
  rate_limited: ['Too many requests', 'the request exceeds a limit of this key; see `Retry-After`, if any'],
  headers_too_large: ['Header fields too large', 'the header fields are larger than the service reads'],
  no_prediction: ['No prediction', 'no rung of the ladder may answer; see `Retry-After`'],
  live_timeout: ['Live inference too slow', 'the deadline passed, and no lower rung may answer'],
  live_failed: ['Live inference failed', 'the model failed on this user, and no lower rung may answer'],
  caller_gone: [
    'Caller disconnected',
    "the caller closed the connection or cancelled the call, or its gRPC deadline left too little time for the answer; only the service's metrics and log show this code",
  ],
  overloaded: [
    'Overloaded',
    'the queue of live inference is full, or the machine is too busy to try a model; see `Retry-After`',
  ],
  protocol_unknown: [
    'Protocol unknown',
    "the database's schema follows a freshness protocol that this release does not know; see `Retry-After`",
  ],
  unavailable: ['Unavailable', 'a store does not answer in time; see `Retry-After`'],
  not_confirmed: ['Not confirmed', 'the change is committed, but Redis did not confirm it'],
  not_cached: ['Not cached', 'the request has `only-if-cached`, and no stored prediction may be served'],
  internal_error: ['Internal error', 'the service has a defect; its log names the request'],
};

interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** When the problem occurs, for the documentation. */
  readonly when: string;
}

export const PROBLEM_KINDS = Object.freeze(
  Object.fromEntries(
    Object.entries(TEXTS).map(([code, [title, when]]) => {
      return [code, { status: ERROR_KINDS[code as ErrorCode].status, title, when }];
    }),
  ),
) as Readonly<Record<ErrorCode, ProblemKind>>;

/** A problem document with its HTTP headers. */
export type HttpProblem = ReturnType<typeof toProblem>;

/** Seconds in Retry-After of a 503 whose error gives none. */
const RETRY_AFTER = 1;

export function problemType(code: ErrorCode): string {
  return `urn:tandem:problem:${code}`;
}

/**
 * Converts an error to a problem document with its headers.
 * @param instance the request's path
 * @param field the place of the error; it overrides the field of the error
 */
export function toProblem(error: unknown, instance?: string, field?: string) {
  const { code, message: detail, headers, retryAfter, ...shown } = shownError(error);
  const { status, title } = PROBLEM_KINDS[code];
  const seconds = retryAfter ?? (status === 503 ? RETRY_AFTER : undefined);
  const where = field ?? shown.field;
  const remedy = shown.remedy ?? (code === 'unavailable' ? 'retry after the time in Retry-After' : undefined);
  return {
    code,
    headers: seconds === undefined ? headers : { ...headers, 'retry-after': String(Math.ceil(seconds)) },
    problem: {
      type: problemType(code),
      title,
      status,
      detail,
      ...(instance === undefined ? {} : { instance }),
      ...(where === undefined ? {} : { field: where }),
      ...(remedy === undefined ? {} : { remedy }),
    },
  };
}

/** Returns the error that the caller sees. */
function shownError(error: unknown): TandemError {
  if (isTandemError(error)) return error;
  // A missing right is no defect of the service: an operator can grant it.
  if (sqlState(error) === '42501') {
    return new TandemError('unavailable', "The database user lacks a right; the service's log names it.", {
      remedy: 'run `tandem doctor`, which names the grant',
    });
  }
  // An unexpected error is not shown, because its text may name tables, hosts or values.
  return new TandemError('internal_error', 'The service failed with an unexpected error.', {
    remedy: "retry the request; if it fails again, see the service's log",
  });
}

/** Returns the answer that carries a problem. Caches never store it. */
export function problemReply({ problem, headers }: HttpProblem): Reply {
  return {
    status: problem.status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...headers,
    },
    body: JSON.stringify(problem),
  };
}

export function problemResponse(problem: HttpProblem): Response {
  return responseOf(problemReply(problem));
}
