/**
 * The codes of errors. One table gives each code its HTTP status, and says whether a job that failed with it is retried.
 * libs/endpoints/problem.ts documents each code.
 */

interface ErrorKind {
  /** The HTTP status. */
  readonly status: number;
  /** Whether the same job may succeed later. */
  readonly mayPass: boolean;
}

export const ERROR_KINDS = Object.freeze({
  // Errors of an HTTP request, before a use case handles it.
  malformed_request: { status: 400, mayPass: false },
  unauthorized: { status: 401, mayPass: false },
  forbidden: { status: 403, mayPass: false },
  missing_scope: { status: 403, mayPass: false },
  no_such_path: { status: 404, mayPass: false },
  method_not_allowed: { status: 405, mayPass: false },
  not_acceptable: { status: 406, mayPass: false },
  request_timeout: { status: 408, mayPass: false },
  precondition_failed: { status: 412, mayPass: false },
  body_too_large: { status: 413, mayPass: false },
  unsupported_media_type: { status: 415, mayPass: false },
  headers_too_large: { status: 431, mayPass: false },
  internal_error: { status: 500, mayPass: false },
  // Errors of a use case.
  unknown_predictor: { status: 404, mayPass: false },
  unknown_user: { status: 404, mayPass: false },
  unknown_run: { status: 404, mayPass: false },
  unknown_generation: { status: 404, mayPass: false },
  unknown_rollout: { status: 404, mayPass: false },
  unknown_model_version: { status: 404, mayPass: false },
  unknown_explanation: { status: 404, mayPass: false },
  unknown_artifact: { status: 404, mayPass: false },
  event_conflict: { status: 409, mayPass: false },
  outcome_conflict: { status: 409, mayPass: false },
  run_conflict: { status: 409, mayPass: true },
  rollout_conflict: { status: 409, mayPass: false },
  never_stable: { status: 409, mayPass: false },
  version_unverified: { status: 409, mayPass: false },
  version_archived: { status: 409, mayPass: false },
  version_in_use: { status: 409, mayPass: false },
  history_changed: { status: 409, mayPass: true },
  context_not_reached: { status: 412, mayPass: false },
  invalid_input: { status: 422, mayPass: false },
  config_invalid: { status: 422, mayPass: true },
  model_refused: { status: 422, mayPass: true },
  features_failed: { status: 422, mayPass: true },
  request_features_required: { status: 422, mayPass: false },
  features_unusable: { status: 422, mayPass: true },
  output_unusable: { status: 422, mayPass: true },
  rate_limited: { status: 429, mayPass: true },
  no_prediction: { status: 503, mayPass: false },
  live_timeout: { status: 503, mayPass: true },
  live_failed: { status: 503, mayPass: true },
  caller_gone: { status: 408, mayPass: true },
  overloaded: { status: 503, mayPass: true },
  protocol_unknown: { status: 503, mayPass: true },
  unavailable: { status: 503, mayPass: true },
  not_confirmed: { status: 504, mayPass: false },
  not_cached: { status: 504, mayPass: false },
}) satisfies Readonly<Record<string, ErrorKind>>;

export type ErrorCode = keyof typeof ERROR_KINDS;
