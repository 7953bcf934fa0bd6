/** Opens what each call of a client needs: the transport, the limits of retries, and the ids and source of sent entries. */
import { createRetryBudget, type RetryOptions, sleepFor } from './retry.ts';
import type { SendParts } from './send-entries.ts';
import { createTransport } from './transport.ts';

export interface ConnectionOptions {
  /** The URL of the service: `http://127.0.0.1:8080`; in a browser, also a path on the page's origin. */
  readonly url: string;
  /** Milliseconds for one attempt of a call. Default 5,000. */
  readonly timeoutMs?: number;
  /** Milliseconds in which failed calls of events, outcomes and pushes are retried. Default 30,000. */
  readonly retryForMs?: number;
  /** Milliseconds in which failed reads are retried. Default 2,000; 0 allows one attempt. */
  readonly retryReadsForMs?: number;
  /** The `source` of events without one, such as the application's name. */
  readonly source?: string;
  /** An API key; required unless the service listens only on loopback. Do not use a key in a browser. */
  readonly apiKey?: string;
  /** Headers that every call sends. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly fetch?: typeof globalThis.fetch;
  readonly random?: () => number;
  readonly now?: () => number;
  readonly sleep?: RetryOptions['sleep'];
  readonly newId?: () => string;
}

/** The parts that each section of a client uses. */
export interface Connection extends SendParts {
  /** How calls other than reads are retried. */
  readonly retry: RetryOptions;
}

const TIMEOUT_MS = 5_000;
const RETRY_FOR_MS = 30_000;
/** The default of `retryReadsForMs`: longer than the Retry-After of 1 s that a busy service sends. */
const RETRY_READS_FOR_MS = 2_000;

/** Opens the parts. They keep no socket open, so there is no close. Throws a `ProblemError` if `url` is not an address. */
export function openConnection(options: ConnectionOptions): Connection {
  const { random = Math.random, now = Date.now, sleep = sleepFor, newId = () => crypto.randomUUID() } = options;
  const { retryForMs = RETRY_FOR_MS, retryReadsForMs = RETRY_READS_FOR_MS, source = 'tandem-client' } = options;
  const { url, timeoutMs = TIMEOUT_MS } = options;
  const patience = { budget: createRetryBudget(now), random, now, sleep };
  const fetch: typeof globalThis.fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const reads = { ...patience, retryForMs: retryReadsForMs };
  const transport = createTransport({ url, fetch, timeoutMs, headers: headersOf(options), retry: reads });
  return { transport, retryForMs, source, newId, retry: { ...patience, retryForMs } };
}

function headersOf({
  apiKey,
  headers = {},
}: Pick<ConnectionOptions, 'apiKey' | 'headers'>): Readonly<Record<string, string>> {
  return apiKey === undefined ? headers : { ...headers, authorization: `Bearer ${apiKey}` };
}
