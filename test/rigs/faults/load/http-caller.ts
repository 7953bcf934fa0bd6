/** HTTP calls as a history tells them: what came back and when, or why nothing came; nothing is thrown. */
import { Agent, type ClientRequest, type IncomingHttpHeaders, request } from 'node:http';
import type { Socket } from 'node:net';
import type { LeakFinder } from '../checker/leaks.ts';
import { type Call, type Failure, monotonicNow } from '../history.ts';

export interface Api {
  readonly name: string;
  /** Without a slash at its end. */
  readonly url: string;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Absolute. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** `application/json` where it is left out. */
  readonly contentType?: string;
  /** Milliseconds for all of it. */
  readonly timeoutMs: number;
}

export interface HttpOutcome {
  /** The parts of an operation that every call has. */
  readonly call: Call;
  readonly headers: IncomingHttpHeaders;
  /** Of an answer in JSON; undefined where there is none. */
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

/** Nearly as long as the service keeps an idle connection; our own clock may have noticed its last answer late. */
const KEPT_IDLE_MS = 4_000;

/** Connections stay open, and are as many as calls are under way. */
export function createHttpCaller(leaks: LeakFinder): HttpCaller {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  /** When its last answer had come. */
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
    // The hot path's answers are of one shape; whatever else is said is looked at.
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
      // An answer that breaks off has no end.
      response.on('error', reject);
      response.on('aborted', () => reject(new Error('the answer broke off')));
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

/** For how long its connection had rested; 0 for a new one. */
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
