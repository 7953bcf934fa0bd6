/** One HTTP call: a deadline on all of it, answers parsed, errors as `ProblemError` or `UnreachableError`. */
import { type AnyProblem, ProblemError, UnreachableError } from './client-errors.ts';

export interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Absolute, with its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** A body that is sent as it is, in the place of `body`. */
  readonly bytes?: Uint8Array;
  readonly contentType?: string;
  /** Milliseconds for the whole call; the client's own where it is left out. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Reply<T> {
  readonly status: number;
  readonly headers: Headers;
  /** Undefined for an answer without a body (304). */
  readonly body: T | undefined;
}

export interface Transport {
  call<T>(call: Call): Promise<Reply<T>>;
  /** An open stream of the body's text; the deadline covers the answer's headers only. */
  stream(call: Call): Promise<ReadableStream<Uint8Array>>;
}

interface TransportOptions {
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  readonly timeoutMs: number;
  /** Sent with every call, `Authorization` among them. */
  readonly headers: Readonly<Record<string, string>>;
}

export function createTransport({ url, fetch, timeoutMs, headers }: TransportOptions): Transport {
  const base = url.replace(/\/+$/, '');
  const send = async (call: Call, deadline: AbortSignal) => {
    checkSegments(call.path);
    return fetch(`${base}${call.path}`, requestOf(call, headers, deadline)).catch((cause) => {
      throw unreachable(base, cause, call);
    });
  };
  return {
    call: async <T>(call: Call) => {
      const deadline = deadlineOf(call.timeoutMs ?? timeoutMs, call.signal);
      const response = await send(call, deadline);
      const text = await response.text().catch((cause) => {
        throw unreachable(base, cause, call);
      });
      return { status: response.status, headers: response.headers, body: parseAnswer<T>(response, text) };
    },
    stream: async (call) => {
      const headersArrived = new AbortController();
      const timer = setTimeout(() => headersArrived.abort(timeoutError()), call.timeoutMs ?? timeoutMs);
      const response = await send(call, anyOf(headersArrived.signal, call.signal)).finally(() => clearTimeout(timer));
      if (!response.ok || response.body === null) throw problemOf(response, await response.text());
      return response.body;
    },
  };
}

/** `.` or `..` between slashes, also percent-encoded. */
const DOT_SEGMENT = /\/((?:\.|%2e){1,2})(?=[/?]|$)/i;

/** Refuses what `fetch` would resolve: the call would reach another path, such as that of all users. */
function checkSegments(path: string): void {
  const name = DOT_SEGMENT.exec(path)?.[1];
  if (name === undefined) return;
  throw new ProblemError({
    type: 'urn:tandem:problem:malformed_request',
    status: 400,
    title: 'Malformed request',
    detail: `${name} cannot be part of the path ${path}: HTTP clients resolve it. No user id or other name is . or ..`,
    remedy: 'give the user another id in its source',
  });
}

/** The body of a call that is always answered with one. */
export async function answerOf<T>(transport: Transport, call: Call): Promise<T> {
  const { body } = await transport.call<T>(call);
  return body as T;
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
    // A redirect would send an event, or a token, to where the caller did not mean it to go.
    redirect: 'error',
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
    throw new UnreachableError(response.url, false, 'what answers there is not the service (no JSON)', cause);
  }
}

/** The problem in an error answer; a proxy's page in its place becomes a problem of the same status. */
function problemOf(response: Response, text: string): ProblemError {
  const after = Number(response.headers.get('retry-after') ?? Number.NaN);
  const retryAfter = Number.isFinite(after) ? after : undefined;
  return new ProblemError(parseProblem(response.status, text), retryAfter);
}

function parseProblem(status: number, text: string): AnyProblem {
  try {
    const problem: Partial<AnyProblem> | null = JSON.parse(text);
    if (typeof problem?.type === 'string' && typeof problem.title === 'string') {
      return { ...problem, type: problem.type, title: problem.title, status };
    }
  } catch {
    // Not of the service: told by its status below.
  }
  return { type: 'about:blank', status, title: `HTTP ${status}`, detail: `the answer was HTTP ${status}` };
}

function deadlineOf(timeoutMs: number, signal: AbortSignal | undefined): AbortSignal {
  return anyOf(AbortSignal.timeout(timeoutMs), signal);
}

function anyOf(deadline: AbortSignal, signal: AbortSignal | undefined): AbortSignal {
  return signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
}

function timeoutError(): DOMException {
  return new DOMException('the deadline passed', 'TimeoutError');
}

function unreachable(base: string, cause: unknown, call: Call): unknown {
  // The caller's own abort is its own news.
  if (call.signal?.aborted) return call.signal.reason;
  const timedOut = cause instanceof DOMException && cause.name === 'TimeoutError';
  return new UnreachableError(base, timedOut, timedOut ? 'the deadline passed' : reasonOf(cause), cause);
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const inner: unknown = cause.cause;
  if (inner instanceof Error && 'code' in inner && inner.code === 'ECONNREFUSED') return 'nothing listens there';
  return inner instanceof Error && inner.message !== '' ? inner.message : cause.message;
}

/** Returns the path of a paged list with its query. */
export function pagePath(path: string, asked: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) if (value !== undefined) query.set(name, String(value));
  return query.size > 0 ? `${path}?${query}` : path;
}

/** SHA-256 in hex, by what browsers and Node have. */
export async function sha256(file: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', file as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
