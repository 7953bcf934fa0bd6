/** What is wrong with a request as HTTP, before the domain ever sees it. Its codes stand beside ErrorCode in problem.ts. */

export type RequestErrorCode =
  | 'malformed_request'
  | 'unauthorized'
  | 'forbidden'
  | 'missing_scope'
  | 'no_such_path'
  | 'method_not_allowed'
  | 'not_acceptable'
  | 'request_timeout'
  | 'precondition_failed'
  | 'body_too_large'
  | 'unsupported_media_type'
  | 'headers_too_large'
  | 'internal_error';

export interface RequestErrorOptions {
  /** Where the fault lies: a header's name, or a path into the body. */
  readonly field?: string;
  readonly remedy?: string;
  /** Headers that belong to the status, such as Allow. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

export class RequestError extends Error {
  readonly code: RequestErrorCode;
  readonly field: string | undefined;
  readonly remedy: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  /** @param publicText what happened, readable by any caller */
  constructor(code: RequestErrorCode, publicText: string, options: RequestErrorOptions = {}) {
    super(publicText, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RequestError';
    this.code = code;
    this.field = options.field;
    this.remedy = options.remedy;
    this.headers = options.headers ?? {};
  }
}
