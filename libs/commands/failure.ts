/** The failure of a command: the fault, the place and the fix, without a stack trace. */

import { isTandemError, type TandemError } from '@tandem/freshness/errors';
import { LocalServerError } from '@tandem/local-servers/local-server-error';
import { ProblemError, UnreachableError } from '@tandem/transport/client-errors';
import { explainStoreRefusal } from './store-refusals.ts';

const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;
/** The exit code after SIGINT: 128 + 2, as in shells. */
export const EXIT_INTERRUPTED = 130;

/** A failure with a text for people. An empty message means that the output already has the error. */
export class CommandFailure extends Error {
  readonly remedy: string | undefined;
  readonly exitCode: number;
  /** Whether a result that contains the failure was printed, so that no second JSON document follows. */
  readonly presented: boolean;

  constructor(
    message: string,
    options: Partial<Pick<CommandFailure, 'remedy' | 'exitCode' | 'presented' | 'cause'>> = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'CommandFailure';
    this.remedy = options.remedy;
    this.exitCode = options.exitCode ?? EXIT_FAILURE;
    this.presented = options.presented ?? false;
  }
}

/** Returns the failure for wrong usage. */
export function usageError(problem: string, remedy?: string): CommandFailure {
  return new CommandFailure(problem, { remedy, exitCode: EXIT_USAGE });
}

/** Returns the failure for a file that cannot be read. */
export function unreadable(file: string, error: Error): CommandFailure {
  const isMissing = 'code' in error && error.code === 'ENOENT';
  if (isMissing) return new CommandFailure(`there is no file ${file}`, { remedy: 'check the path', cause: error });
  const remedy = 'name a file that you may read';
  return new CommandFailure(`${file} cannot be read: ${error.message}`, { remedy, cause: error });
}

interface Failure {
  /** The error code for programs. */
  readonly code: string;
  readonly message: string;
  /** The place of the error: a path in the input or the config, or an address. */
  readonly where: string | undefined;
  readonly remedy: string | undefined;
  readonly exitCode: number;
}

/** The API's own remedy names a header, which the CLI sends itself. */
const KEY_REMEDY = 'set TANDEM_API_KEY to a valid key; tandem key create makes one';

/** Returns a remedy of the API with the seconds in place of the header Retry-After, which the CLI does not show. */
function withTime(remedy: string | undefined, retryAfter: number | undefined): string | undefined {
  const time = retryAfter === undefined ? 'a few seconds' : `${Math.ceil(retryAfter)} s`;
  return remedy?.replace('the time in Retry-After', time);
}

/** Returns the message of any error. */
export function explainFailure(error: unknown): Failure {
  if (error instanceof CommandFailure) {
    return failure('failed', error.message, undefined, error.remedy, error.exitCode);
  }
  if (error instanceof ProblemError) {
    if (error.code === 'unauthorized') return failure(error.code, error.message, undefined, KEY_REMEDY);
    const remedy = error.remedy ?? (error.retryAfter === undefined ? undefined : `retry in ${error.retryAfter} s`);
    return failure(error.code, error.message, error.field, withTime(remedy, error.retryAfter));
  }
  if (error instanceof UnreachableError) {
    const remedy = 'start it with `tandem up`, or set its address with --url or TANDEM_URL';
    return failure('unreachable', error.message, undefined, error.timedOut ? 'retry, or look in its log' : remedy);
  }
  if (isTandemError(error, 'unavailable')) return explainOutage(error);
  if (isTandemError(error)) {
    return failure(error.code, error.message, error.field, withTime(error.remedy, error.retryAfter));
  }
  if (error instanceof LocalServerError) {
    const problem = error.message.slice(0, -error.remedy.length).trimEnd();
    return failure(error.code, problem, undefined, error.remedy);
  }
  const refusal = explainStoreRefusal(error);
  return failure('failed', refusal?.message ?? explainPlainError(error), undefined, refusal?.remedy);
}

/** Explains an outage. An application would retry, but a person at a terminal needs to know which store is down. */
function explainOutage(error: TandemError): Failure {
  const refusal = explainStoreRefusal(error.cause);
  if (refusal) return failure(error.code, refusal.message ?? explainPlainError(error.cause), undefined, refusal.remedy);
  // If there are several servers, the detail names each.
  const plain = error.cause instanceof Error ? explainPlainError(error.cause) : '';
  const cause = [error.detail, plain].find((text) => typeof text === 'string' && text !== '');
  const remedy =
    withTime(error.remedy, error.retryAfter) ??
    'check that it runs and that its address is right (DATABASE_URL, REDIS_URL)';
  return failure(error.code, `${error.message.replace(/\.$/, '')}${cause ? `: ${cause}` : ''}`, undefined, remedy);
}

/** Returns the lines for standard error: `tandem: what (where)` and the remedy. */
export function renderFailure({ message, where, remedy }: Failure): string[] {
  const place = where === undefined || message.includes(where) ? '' : ` (${where})`;
  const what = `tandem: ${message}${place}`;
  return remedy === undefined ? [what] : [what, `  ${remedy}`];
}

function failure(
  code: string,
  message: string,
  where: string | undefined,
  remedy: string | undefined,
  exitCode: number = EXIT_FAILURE,
): Failure {
  return { code, message, where, remedy, exitCode };
}

/**
 * Returns the message of an error. The AggregateError of several refused addresses has no message, so those of its
 * causes are joined.
 */
function explainPlainError(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') {
    return [...new Set(error.errors.map(explainPlainError))].join('; ');
  }
  return error instanceof Error ? error.message || error.name : String(error);
}
