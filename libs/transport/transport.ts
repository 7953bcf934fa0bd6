/**
 * Sends one call over fetch, with a deadline for each attempt and retries of calls that are safe to repeat. Errors are
 * `ProblemError` or `UnreachableError`. It needs only fetch, and imports no module of a runtime.
 */
import { type AnyProblem, ProblemError, UnreachableError } from './client-errors.ts';
import { type RetryOptions, retry } from './retry.ts';

export interface CallOptions {
  /** Milliseconds until an attempt fails with an `UnreachableError`. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Options of a call that is safe to repeat. */
export interface RepeatedCallOptions extends CallOptions {
  /** Milliseconds after the first attempt in which a retry may begin; 0 allows one attempt. */
  readonly retryForMs?: number;
}

interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** The absolute path, with its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** A body that is sent unchanged, in place of `body`. */
  readonly bytes?: Uint8Array;
  readonly contentType?: string;
  /** Milliseconds for one attempt, including its body. Default: the client's time limit. */
  readonly timeoutMs?: number | undefined;
  /** Whether the call is safe to repeat, so that it may be retried. Default: true for GET. */
  readonly isRepeatable?: boolean;
  /** Milliseconds in which a retry may begin, if the call is repeatable. Default: the value for reads. */
  readonly retryForMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Reply<T> {
  readonly status: number;
  readonly headers: Headers;
  /** The body; undefined for an answer without a body (304). */
  readonly body: T | undefined;
}

export interface Transport {
  call<T>(call: Call): Promise<Reply<T>>;
  /** Opens a stream of the body's bytes, in one attempt; the deadline covers the answer's headers only. */
  stream(call: Call): Promise<ReadableStream<Uint8Array>>;
}

interface TransportOptions {
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  readonly timeoutMs: number;
  /** Headers of every call, including `Authorization`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds in which a read may be retried. */
  readonly retry: RetryOptions;
}

/** Creates the transport. Throws a `ProblemError` if the URL is not one. */
export function createTransport(options: TransportOptions): Transport {
  checkUrl(options.url);
  const { fetch, timeoutMs, headers, retry: patience } = options;
  const base = options.url.replace(/\/+$/, '');
  const send = async (call: Call, signal: AbortSignal) => {
    const response = await fetch(`${base}${call.path}`, requestOf(call, headers, signal));
    refuseRedirect(response, base);
    return response;
  };
  const limitsOf = (call: Call) => ({ base, signal: call.signal, timeoutMs: call.timeoutMs ?? timeoutMs });
  return {
    call: async <T>(call: Call) => {
      checkSegments(call.path);
      const { isRepeatable = (call.method ?? 'GET') === 'GET', retryForMs = patience.retryForMs } = call;
      return retry({ ...patience, retryForMs: isRepeatable ? retryForMs : 0 }, call.signal, () =>
        withDeadline(limitsOf(call), async (signal) => {
          const response = await send(call, signal);
          const text = await response.text();
          return { status: response.status, headers: response.headers, body: parseAnswer<T>(response, text) };
        }),
      );
    },
    stream: async (call) => {
      checkSegments(call.path);
      const response = await withDeadline({ ...limitsOf(call), isOpenEnded: true }, (signal) => send(call, signal));
      if (!response.ok || response.body === null) throw problemOf(response, await response.text());
      return response.body;
    },
  };
}

interface Limits {
  readonly base: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Whether the caller's signal still applies after the attempt, for the rest of a stream. */
  readonly isOpenEnded?: boolean;
}

/** The longest delay of a timer, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Makes one attempt under its deadline and the caller's signal. Afterwards it clears the timer and, unless the call is
 * open-ended, removes the listener. `AbortSignal.any` is no alternative: it keeps memory for as long as a signal lives,
 * and Node 20.0 lacks it.
 */
async function withDeadline<T>(limits: Limits, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { base, timeoutMs, signal, isOpenEnded = false } = limits;
  if (signal?.aborted) throw signal.reason;
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  const late = () => controller.abort(new DOMException('the deadline passed', 'TimeoutError'));
  const timer = setTimeout(late, Math.min(timeoutMs, MAX_TIMER_MS));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await attempt(controller.signal);
  } catch (error) {
    if (error instanceof ProblemError || error instanceof UnreachableError) throw error;
    // An abort by the caller is not a failure of the service.
    if (signal?.aborted) throw signal.reason;
    const timedOut = controller.signal.aborted;
    throw new UnreachableError(base, timedOut, timedOut ? 'the deadline passed' : reasonOf(error), error);
  } finally {
    clearTimeout(timer);
    if (!isOpenEnded) signal?.removeEventListener('abort', abort);
  }
}

/**
 * Rejects a redirect, which would send an event or a key to an address that the caller did not give. Workers do not
 * support `redirect: 'error'`, and browsers hide the status of a manual redirect.
 */
function refuseRedirect(response: Response, base: string): void {
  const { status, type, headers } = response;
  if (type !== 'opaqueredirect' && (status < 300 || status > 399 || status === 304)) return;
  throw new ProblemError({
    type: 'about:blank',
    status: status === 0 ? 302 : status,
    title: 'Redirect',
    detail: `${base} redirects to ${headers.get('location') ?? 'another address'}, and the client does not follow redirects`,
    remedy: 'set url to the address that it redirects to',
  });
}

/** Matches `.` or `..` between slashes, also percent-encoded. */
const DOT_SEGMENT = /\/((?:\.|%2e){1,2})(?=[/?]|$)/i;

const EMPTY_SEGMENT = /\/(?=[/?]|$)/;

/**
 * Rejects an empty name, and `.` and `..`, which `fetch` resolves. The call would go to another path, such as that of
 * all users.
 */
function checkSegments(path: string): void {
  if (EMPTY_SEGMENT.test(path)) {
    throw malformed(
      `A name or id of this call is empty: the path would be ${path}`,
      'pass an id or name that is not empty',
    );
  }
  const name = DOT_SEGMENT.exec(path)?.[1];
  if (name === undefined) return;
  throw malformed(
    `${name} cannot be part of the path ${path}: HTTP clients resolve it. A user id or a name cannot be . or ..`,
    'give the user another id in its source',
  );
}

/** Matches a URL of HTTP, or a path on the origin of a browser's page. */
const SERVICE_URL = /^\s*(https?:\/\/[^/]|\/)/i;
/** Matches a host without a scheme, with or without a port and a path. */
const BARE_HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?(?:\/|$)/i;

/** Rejects a URL to which no call could be sent, so that calls do not retry it as a service that is down. */
function checkUrl(url: unknown): void {
  if (typeof url === 'string' && SERVICE_URL.test(url)) return;
  const meant = typeof url === 'string' && BARE_HOST.test(url) ? url : '127.0.0.1:8080';
  throw malformed(
    `url is ${JSON.stringify(url)}, which ${typeof url === 'string' ? 'does not start with http:// or https://' : 'is not a string'}`,
    `write http://${meant}`,
    'url',
  );
}

function malformed(detail: string, remedy: string, field?: string): ProblemError {
  return new ProblemError({
    ...{ type: 'urn:tandem:problem:malformed_request', status: 400, title: 'Malformed request' },
    ...{ detail, remedy, ...(field === undefined ? {} : { field }) },
  });
}

/** Returns a function for each method. It sends a call, and returns the body of an answer that always has one. */
export function methodsOf(transport: Transport) {
  const sending =
    (method: Call['method'] & string) =>
    async <T>(path: string, options: Omit<Call, 'method' | 'path' | 'body'> = {}, body?: unknown): Promise<T> =>
      (await transport.call<T>({ method, path, body, ...options })).body as T;
  return { get: sending('GET'), post: sending('POST'), put: sending('PUT'), remove: sending('DELETE') };
}

function requestOf(call: Call, headers: Readonly<Record<string, string>>, signal: AbortSignal): RequestInit {
  const { method = 'GET', contentType = 'application/json' } = call;
  const body = bodyOf(call);
  const accept = 'application/json, application/problem+json';
  const typed: Record<string, string> = body === undefined ? {} : { 'content-type': contentType };
  return {
    method,
    headers: { accept, ...headers, ...typed, ...call.headers },
    signal,
    redirect: 'manual',
    ...(body === undefined ? {} : { body }),
  };
}

function bodyOf({ body, bytes }: Call): NonNullable<RequestInit['body']> | undefined {
  if (bytes !== undefined) return bytes as Uint8Array<ArrayBuffer>;
  return body === undefined ? undefined : JSON.stringify(body);
}

function parseAnswer<T>(response: Response, text: string): T | undefined {
  if (response.status === 304 || response.status === 204) return undefined;
  if (!response.ok) throw problemOf(response, text);
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new UnreachableError(response.url, false, 'the answer is not JSON, so it is not from the service', cause);
  }
}

/** Returns the problem in an error answer; for the error page of a proxy, a problem with its status. */
function problemOf(response: Response, text: string): ProblemError {
  return new ProblemError(parseProblem(response.status, text), secondsOf(response.headers.get('retry-after')));
}

/** Returns the seconds of a Retry-After, which is a number or a date (RFC 9110, 10.2.3). */
function secondsOf(retryAfter: string | null): number | undefined {
  if (retryAfter === null) return undefined;
  const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}

function parseProblem(status: number, text: string): AnyProblem {
  try {
    const problem: Partial<AnyProblem> | null = JSON.parse(text);
    if (typeof problem?.type === 'string' && typeof problem.title === 'string') {
      return { ...problem, type: problem.type, title: problem.title, status };
    }
  } catch {
    // The answer is not from the service, so only its status is known.
  }
  return { type: 'about:blank', status, title: `HTTP ${status}`, detail: `the answer was HTTP ${status}` };
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const inner: unknown = cause.cause;
  if (inner instanceof Error && 'code' in inner && inner.code === 'ECONNREFUSED') return 'nothing listens there';
  return inner instanceof Error && inner.message !== '' ? inner.message : cause.message;
}

/** Returns the path of a list in pages, with its query. */
export function pagePath(path: string, asked: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) if (value !== undefined) query.set(name, String(value));
  return query.size > 0 ? `${path}?${query}` : path;
}

/** Returns the SHA-256 in hex. */
export async function sha256(file: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', file as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
