/** The errors of the client: the service rejected a call, or did not answer. */
import type { Problem, ProblemCode } from './wire-types.ts';

export type { Problem, ProblemCode } from './wire-types.ts';

/** A problem code of this release, or a code that a later release or a proxy adds. */
export type AnyCode = ProblemCode | (string & Record<never, never>);

/** A problem document of the service, or of a proxy in front of it, which may lack `detail`. */
export type AnyProblem = Omit<Problem, 'detail'> & Partial<Pick<Problem, 'detail'>>;

/** The error of a call that the service answered with a problem. */
export class ProblemError extends Error {
  readonly type: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string | undefined;
  readonly field: string | undefined;
  readonly remedy: string | undefined;
  /** Seconds after which the same request may succeed. */
  readonly retryAfter: number | undefined;

  constructor(problem: AnyProblem, retryAfter?: number) {
    super(problem.detail ?? problem.title);
    this.name = 'ProblemError';
    this.type = problem.type;
    this.status = problem.status;
    this.title = problem.title;
    this.detail = problem.detail;
    this.field = problem.field;
    this.remedy = problem.remedy;
    this.retryAfter = retryAfter;
  }

  /** Returns the code, such as `unknown_user`, by which programs react to the error. It is the last part of `type`. */
  get code(): AnyCode {
    return this.type.slice(
      Math.max(this.type.lastIndexOf('/'), this.type.lastIndexOf('#'), this.type.lastIndexOf(':')) + 1,
    );
  }
}

/**
 * The error of a call without an answer: the connection failed, or the deadline passed. The service may have acted on
 * the request.
 */
export class UnreachableError extends Error {
  readonly url: string;
  readonly timedOut: boolean;

  constructor(url: string, timedOut: boolean, reason: string, cause?: unknown) {
    super(`no answer from ${url}: ${reason}`, { cause });
    this.name = 'UnreachableError';
    this.url = url;
    this.timedOut = timedOut;
  }
}

/** Returns whether the service rejected a call and, if codes are given, whether it did so with one of these codes. */
export function isProblem(error: unknown, ...codes: AnyCode[]): error is ProblemError {
  return error instanceof ProblemError && (codes.length === 0 || codes.includes(error.code));
}
