/**
 * The one error type: a code that programs react to, a text that any caller may read, and a private detail for the log.
 * `error-codes.ts` has the codes.
 */
import type { UserState } from './certificate.ts';
import type { ErrorCode } from './error-codes.ts';
import type { ContextToken, ReadOptions } from './read-options.ts';

interface ErrorOptions {
  /** The path of the faulty value in the caller's input: `userIds[3]`, `predictors.repurchase.model`. */
  readonly field?: string;
  /** How the caller can fix it. */
  readonly remedy?: string;
  /** For the log only: may name internals. */
  readonly detail?: unknown;
  readonly cause?: unknown;
  /** Seconds after which the same request may succeed. */
  readonly retryAfter?: number;
  /** HTTP headers that belong to the status, such as Allow. */
  readonly headers?: Readonly<Record<string, string>>;
}

export class TandemError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly remedy: string | undefined;
  readonly detail: unknown;
  readonly retryAfter: number | undefined;
  readonly headers: Readonly<Record<string, string>>;

  /** @param publicText what happened, readable by any caller; names no internals */
  constructor(code: ErrorCode, publicText: string, options: ErrorOptions = {}) {
    super(publicText, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'TandemError';
    this.code = code;
    this.field = options.field;
    this.remedy = options.remedy;
    this.detail = options.detail;
    this.retryAfter = options.retryAfter;
    this.headers = options.headers ?? {};
  }
}

export function isTandemError(error: unknown, ...codes: ErrorCode[]): error is TandemError {
  return error instanceof TandemError && (codes.length === 0 || codes.includes(error.code));
}

/**
 * Returns whether the error is independent of the request. The same request may succeed later, or in another process.
 */
export function isTransient(error: unknown): boolean {
  return isTandemError(error, 'unavailable', 'protocol_unknown', 'overloaded', 'live_timeout');
}

/**
 * Returns the text of an error for a run's record and the log. The text includes the remedy of an unavailable part, and
 * the place and remedy of a config problem.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!isTandemError(error)) return error.message;
  const { message, field, remedy, detail } = error;
  if (error.code === 'config_invalid' && field !== undefined) {
    return `${message}, at ${field}${remedy === undefined ? '' : `; ${remedy}`}`;
  }
  const text = typeof detail === 'string' ? `${message} (${detail})` : message;
  return error.code === 'unavailable' && remedy !== undefined ? `${text} To fix it, ${remedy}.` : text;
}

/** Closes a union: throws for a case that the compiler considers impossible. */
export function unreachable(value: never): never {
  throw new Error(`unexpected case: ${JSON.stringify(value)}`);
}

// Errors that several use cases share, so that each has one wording.

/** Returns the error of a read without a certificate. An unknown protocol keeps its own error. */
export function notCertified(cause: unknown): TandemError {
  if (isTandemError(cause, 'protocol_unknown')) return cause;
  return new TandemError('unavailable', 'The database did not certify this read in time.', {
    cause,
    retryAfter: 1,
  });
}

export function notFound(userId: string): TandemError {
  return new TandemError('unknown_user', `There is no prediction and no feature row for user ${userId}.`, {
    field: 'userId',
    remedy: "check the id; a user is known once the predictor's feature query has a row for it",
  });
}

/**
 * Returns the error of a read with `only-if-cached` that no stored prediction may answer. Stored predictions are never
 * computed from the request features of a call.
 */
export function notCached(userId: string, { request }: Pick<ReadOptions, 'request'>): TandemError {
  const remedy = `leave out Cache-Control: only-if-cached${request ? '' : ', or add max-stale'}`;
  const which = request ? 'stored prediction from the values of the call' : 'fresh stored prediction';
  const text = `There is no ${which} of user ${userId}, and only-if-cached forbids inference.`;
  return new TandemError('not_cached', text, { remedy });
}

/**
 * Returns the error of a failed feature query, without `retryAfter`: it fails until rows or query change.
 * @param why the message of Postgres; the public text omits it, since it may quote values
 */
export function featuresFailed(userId: string, why: string): TandemError {
  const text = `User ${userId} cannot be predicted: the feature query fails for this user.`;
  return new TandemError('features_failed', text, {
    remedy:
      "see the error with tandem explain, or GET /v1/users/{userId}/explanations/{predictor}; then fix the user's rows, or the feature query. To answer such reads until then, declare freshness.default in tandem.config.ts",
    detail: why,
  });
}

/** The maximum number of names in a text; further names are only counted. */
const MAX_NAMES = 10;

/** @param why the problem of the row and its fix; the user's id is the only value in it */
function rowUnusable(userId: string, why: string): TandemError {
  return new TandemError('features_unusable', `User ${userId} cannot be predicted: ${why}.`, {
    remedy:
      'fix the feature query so that it returns one row for each user; tandem check lists users with several rows. To answer such reads until then, declare freshness.default in tandem.config.ts',
    detail: why,
  });
}

/**
 * Returns the error of unusable features, without `retryAfter`: a retry would fail in the same way.
 * @param features names of the faulty features; none if the row itself is faulty: two rows of one user, or an unusable
 * user id
 * @param why the reason; it includes values, which not every caller may see
 */
export function featuresUnusable(userId: string, features: readonly string[], why: string): TandemError {
  const named = features.slice(0, MAX_NAMES).join(', ');
  const more = features.length > MAX_NAMES ? ` and ${features.length - MAX_NAMES} more` : '';
  const which = features.length === 1 ? `feature ${named}` : `features ${named}${more}`;
  if (features.length === 0) return rowUnusable(userId, why);
  const reason = `the model cannot take the values of ${which} (null or unusable)`;
  return new TandemError('features_unusable', `User ${userId} cannot be predicted: ${reason}.`, {
    remedy:
      'in tandem.config.ts declare a value for nulls (features.nulls) and for unknown texts (features.categories); in the feature query turn NaN into null with nullif, or fix the query. To answer such reads until then, declare freshness.default. tandem explain, or GET /v1/users/{userId}/explanations/{predictor}, shows the faulty features',
    detail: why,
  });
}

/**
 * Returns the error of an unusable output, without `retryAfter`: the same features give the same output.
 * @param why names the output and its value
 */
export function outputUnusable(userId: string, why: string): TandemError {
  return new TandemError('output_unusable', `User ${userId} cannot be predicted: ${why}.`, {
    remedy:
      'inspect the features with tandem explain, or GET /v1/users/{userId}/explanations/{predictor}; then fix the feature query, or push a model that gives a finite number for them. To answer such reads until then, declare freshness.default in tandem.config.ts',
  });
}

/** @param refusal the error from the version of the user's arm; the stable version accepts the call */
export function requestUnusable(userId: string, refusal: TandemError): TandemError {
  const reason = `the rollout's model version rejects a call that the stable version accepts: ${refusal.message}`;
  return new TandemError('features_unusable', `User ${userId} cannot be predicted: ${reason}`, {
    remedy: 'send a call that both versions accept, or end the rollout: tandem rollout abort',
  });
}

/** @param names names of the features without a default */
export function requestFeaturesRequired(predictor: string, names: readonly string[]): TandemError {
  const some = names.slice(0, MAX_NAMES).join(', ');
  return new TandemError(
    'request_features_required',
    `Predictor ${predictor} needs request features that have no default: ${some}.`,
    {
      field: 'users',
      remedy: `send them with each read (tandem predict --feature, or POST /v1/predictions/${predictor} with { "users": [{ "userId": …, "features": { … } }] }), or declare defaults in tandem.config.ts (request)`,
    },
  );
}

/** Returns the error of a call if its caller has disconnected, or if the caller's own deadline ended live inference. */
export function callerGone(): TandemError {
  const text = 'The caller closed the call, or its own deadline left the model too little time to answer.';
  return new TandemError('caller_gone', text, {
    remedy: 'give the call more time; freshness.liveTimeout is the time that a read without a deadline has',
  });
}

/** Returns the error of live inference that is off, without `retryAfter`: a retry fails until the config changes. */
export function liveIsOff(predictor: string): TandemError {
  return new TandemError('invalid_input', `Predictor ${predictor} does not infer live: its freshness.live is false.`, {
    field: 'predictor',
    remedy: `set freshness.live of ${predictor} to true in tandem.config.ts and adopt it; until then read stored predictions`,
  });
}

/** Returns the error of a process that never infers, without `retryAfter`. */
export function processIsNotLive(): TandemError {
  return new TandemError('invalid_input', 'This process does not infer live: it was opened with live: false.', {
    field: 'live',
    remedy: 'leave live: false out of the options of createTandem, or call an API',
  });
}

export function overLiveLimit(): TandemError {
  return new TandemError(
    'rate_limited',
    "The key's limit of live inferences is used up, and nothing stored may be served instead.",
    {
      retryAfter: 1,
      remedy: 'retry after the time in Retry-After; --live-rate of tandem key limit changes the limit',
    },
  );
}

/** Returns the error of a call beyond the key's limit, without `retryAfter`: a retry would fail in the same way. */
export function beyondLiveLimit(): TandemError {
  return new TandemError(
    'rate_limited',
    "The call wants more live inferences of one user than the key's limit allows in a second.",
    { remedy: 'send fewer candidates or entries of one user, or raise the limit: --live-rate of tandem key limit' },
  );
}

/**
 * Returns the error for a value of the caller's input.
 * @param problem the text after the field, such as `is 3`
 */
export function invalidInput(field: string, problem: string, remedy: string): TandemError {
  return new TandemError('invalid_input', `${field} ${problem}.`, { field, remedy });
}

export function unknownPredictor(name: string): TandemError {
  return new TandemError('unknown_predictor', `There is no predictor ${JSON.stringify(name.slice(0, 80))}.`, {
    field: 'predictor',
    remedy: 'use a predictor that tandem model list, or GET /v1/models, returns',
  });
}

export function unknownRun(id: string): TandemError {
  return new TandemError('unknown_run', `There is no run ${JSON.stringify(id.slice(0, 80))}.`, {
    field: 'runId',
    remedy: 'use the id of a run that tandem run list, or GET /v1/runs, returns',
  });
}

/** Returns the error of a read that demands an unavailable context; undefined if it is available. */
export function unreachableContext(
  token: ContextToken | null,
  history: string,
  user: UserState,
): TandemError | undefined {
  if (token === null) return undefined;
  if (token.history !== history) {
    return new TandemError(
      'history_changed',
      'The context token belongs to another history of the database: Postgres was restored or failed over after the token was issued.',
      {
        field: 'Prediction-Min-Context',
        remedy: 'send the event again; its new acknowledgement carries a token of this history',
      },
    );
  }
  if (token.version <= user.version) return undefined;
  return new TandemError(
    'context_not_reached',
    `The user's context is at version ${user.version}, but the token demands version ${token.version}.`,
    {
      field: 'Prediction-Min-Context',
      remedy: 'use the token of an acknowledged event of this user',
    },
  );
}
