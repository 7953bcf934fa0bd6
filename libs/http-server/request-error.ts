/** An error of the HTTP request, before the application handles it. */

/** The HTTP status of each error code. */
export const REQUEST_ERROR_STATUS = Object.freeze({
  malformed_request: 400,
  unauthorized: 401,
  forbidden: 403,
  missing_scope: 403,
  no_such_path: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  request_timeout: 408,
  precondition_failed: 412,
  body_too_large: 413,
  unsupported_media_type: 415,
  headers_too_large: 431,
  internal_error: 500,
});

export type RequestErrorCode = keyof typeof REQUEST_ERROR_STATUS;

interface RequestErrorOptions {
  /** The place of the error: a header's name, or a path into the body. */
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

  /**
   * Creates the error of a request.
   * @param publicText the problem, in a text that every caller may read
   */
  constructor(code: RequestErrorCode, publicText: string, options: RequestErrorOptions = {}) {
    super(publicText, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RequestError';
    this.code = code;
    this.field = options.field;
    this.remedy = options.remedy;
    this.headers = options.headers ?? {};
  }
}
