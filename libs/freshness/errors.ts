/**
 * The one error type of the domain: a code that programs react to, a text that any caller may read, and a private
 * detail for the log. Edges translate codes: apps/api/http/problem.ts into HTTP problems, the worker into retry or fail.
 */

/** What went wrong, as callers may act on it. Each code is documented once, in apps/api/http/problem.ts. */
export type ErrorCode =
  | 'invalid_input'
  | 'unknown_predictor'
  | 'unknown_user'
  | 'unknown_run'
  | 'unknown_generation'
  | 'unknown_artifact'
  | 'event_conflict'
  | 'outcome_conflict'
  | 'run_conflict'
  | 'version_unverified'
  | 'version_archived'
  | 'version_in_use'
  | 'rollout_conflict'
  | 'never_stable'
  | 'unknown_rollout'
  | 'unknown_model_version'
  | 'unknown_explanation'
  | 'context_not_reached'
  | 'history_changed'
  | 'not_cached'
  | 'no_prediction'
  | 'overloaded'
  | 'rate_limited'
  | 'features_failed'
  | 'live_timeout'
  | 'live_failed'
  | 'features_unusable'
  | 'output_unusable'
  | 'unavailable'
  | 'config_invalid'
  | 'model_refused';

interface ErrorOptions {
  /** Where the fault lies, as a path into the caller's input: `userIds[3]`, `predictors.repurchase.model`. */
  readonly field?: string;
  /** What the caller can do about it. */
  readonly remedy?: string;
  /** For the log alone: may name internals. */
  readonly detail?: unknown;
  readonly cause?: unknown;
  /** Seconds after which the same request may succeed. */
  readonly retryAfter?: number;
}

export class TandemError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly remedy: string | undefined;
  readonly detail: unknown;
  readonly retryAfter: number | undefined;

  /** @param publicText what happened, readable by any caller; names no internals */
  constructor(code: ErrorCode, publicText: string, options: ErrorOptions = {}) {
    super(publicText, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'TandemError';
    this.code = code;
    this.field = options.field;
    this.remedy = options.remedy;
    this.detail = options.detail;
    this.retryAfter = options.retryAfter;
  }
}

export function isTandemError(error: unknown, ...codes: ErrorCode[]): error is TandemError {
  return error instanceof TandemError && (codes.length === 0 || codes.includes(error.code));
}

/** Whether the error says nothing about what was asked: the same may succeed when the database or inference is back. */
export function isTransient(error: unknown): boolean {
  return isTandemError(error, 'unavailable', 'overloaded', 'live_timeout');
}

/** Returns what went wrong as a run's error and the log say it; a fault of the config comes with its place and remedy. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!isTandemError(error)) return error.message;
  const { message, field, remedy, detail } = error;
  if (error.code === 'config_invalid' && field !== undefined) {
    return `${message}, at ${field}${remedy === undefined ? '' : `; ${remedy}`}`;
  }
  return typeof detail === 'string' ? `${message} (${detail})` : message;
}

/** Closes a union: a case that the compiler thought impossible. */
export function unreachable(value: never): never {
  throw new Error(`unexpected case: ${JSON.stringify(value)}`);
}
