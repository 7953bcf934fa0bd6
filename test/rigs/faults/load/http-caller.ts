/**
 * Sends HTTP calls and returns each outcome for the history: the answer and its times, or a failure. It never throws.
 */
import { Agent, type ClientRequest, type IncomingHttpHeaders, request } from 'node:http';
import type { Socket } from 'node:net';
import type { LeakFinder } from '../checker/leaks.ts';
import { type Call, type Failure, monotonicNow } from '../history.ts';

export interface Api {
  readonly name: string;
  /** The base URL, without a slash at its end. */
  readonly url: string;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** An absolute path. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Default: `application/json`. */
  readonly contentType?: string;
  /** Milliseconds for the whole call. */
  readonly timeoutMs: number;
}

export interface HttpOutcome {
  /** The parts of an operation that every call has. */
  readonly call: Call;
  readonly headers: IncomingHttpHeaders;
  /** The parsed body of an answer in JSON; undefined without one. */
  readonly body: unknown;
}

export interface HttpCaller {
  send(api: Api, request: HttpRequest): Promise<HttpOutcome>;
  close(): void;
}

interface Arrived {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/**
 * A little less than the service's limit for idle connections, because this process may notice the last answer late.
 */
const KEPT_IDLE_MS = 4_000;

/** Creates a caller that keeps connections open, at most one for each call in progress. */
export function createHttpCaller(leaks: LeakFinder): HttpCaller {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  /** Maps a connection to the time of its last answer. */
  const lastUsed = new WeakMap<Socket, number>();

  async function send(api: Api, wanted: HttpRequest): Promise<HttpOutcome> {
    const at = monotonicNow();
    const arrived = await exchange(agent, api, wanted, lastUsed).catch(failureOf);
    const ended = monotonicNow();
    if (typeof arrived === 'string') {
      return { call: { at, ended, api: api.name, status: null, failure: arrived }, headers: {}, body: undefined };
    }
    const { status, headers, text } = arrived;
    const retryAfter = headers['retry-after'];
    // Answers with 200 and 304 have a fixed shape; only other bodies are searched for leaks.
    const leak = status === 200 || status === 304 ? null : leaks.inBody(text);
    return {
      call: {
        at,
        ended,
        api: api.name,
        status,
        ...(retryAfter === undefined ? {} : { retryAfter: Number(retryAfter) }),
        ...(leak === null ? {} : { leak }),
      },
      headers,
      body: parse(text),
    };
  }

  return { send, close: () => agent.destroy() };
}

function exchange(agent: Agent, api: Api, wanted: HttpRequest, lastUsed: WeakMap<Socket, number>): Promise<Arrived> {
  const { method, path, headers, body, contentType = 'application/json', timeoutMs } = wanted;
  const bytes = body === undefined ? null : Buffer.from(JSON.stringify(body));
  const typed = bytes === null ? {} : { 'content-type': contentType, 'content-length': bytes.length };
  return new Promise((resolve, reject) => {
    const sent = request(`${api.url}${path}`, { method, agent, headers: { ...headers, ...typed } }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => {
        clearTimeout(timer);
        if (sent.socket) lastUsed.set(sent.socket, performance.now());
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
      // A truncated answer emits no end.
      response.on('error', reject);
      response.on('aborted', () => reject(new Error('the answer was truncated')));
    });
    const timer = setTimeout(() => sent.destroy(new TimeoutError()), timeoutMs);
    sent.on('error', (error) => {
      clearTimeout(timer);
      const isIdle = codeOf(error) === 'ECONNRESET' && restedMs(sent, lastUsed) >= KEPT_IDLE_MS;
      reject(isIdle ? new IdleError() : error);
    });
    sent.end(bytes);
  });
}

class TimeoutError extends Error {}
class IdleError extends Error {}

/** Returns how long the connection of a request was idle, or 0 for a new connection. */
function restedMs({ reusedSocket, socket }: ClientRequest, lastUsed: WeakMap<Socket, number>): number {
  const used = reusedSocket && socket ? lastUsed.get(socket) : undefined;
  return used === undefined ? 0 : performance.now() - used;
}

function failureOf(error: unknown): Failure {
  if (error instanceof TimeoutError) return 'timeout';
  if (error instanceof IdleError) return 'idle';
  return codeOf(error) === 'ECONNREFUSED' ? 'refused' : 'reset';
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown } | null)?.code;
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
