/**
 * The client for applications: typed calls over fetch, each with a deadline, errors as `ProblemError` (the service said
 * no) or `UnreachableError` (it said nothing). Uses what every browser and Node has, and no package.
 */
import type { Problem } from './client-errors.ts';
import { type EventParts, type SendOptions, sendEvents } from './events.ts';
import {
  type Answered,
  type CallOptions,
  type ManyResult,
  type NotModified,
  type PredictOptions,
  predict,
} from './predictions.ts';
import { type RetryOptions, sleepFor } from './retry.ts';
import { type Call, createTransport, type Transport } from './transport.ts';
import { watchRun } from './watch-run.ts';
import type {
  EventInput,
  EventResult,
  Explanation,
  GenerationView,
  PredictionAnswer,
  PredictorView,
  Rollback,
  Run,
  RunPage,
  RunScope,
  UserView,
} from './wire.ts';

export interface ClientOptions {
  /** Where the service listens: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Milliseconds for one attempt of a call. */
  readonly timeoutMs?: number;
  /** Milliseconds during which what is safe to repeat is repeated. */
  readonly retryForMs?: number;
  /** The `source` of events that name none: the application's name. */
  readonly source?: string;
  /** Sent with every call. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly fetch?: typeof globalThis.fetch;
  readonly random?: () => number;
  readonly now?: () => number;
  readonly sleep?: RetryOptions['sleep'];
  readonly newId?: () => string;
}

export interface RunQuery extends CallOptions {
  readonly predictor?: string;
  readonly limit?: number;
  /** The id of the last run of the page before. */
  readonly before?: string;
}

export interface RunCalls {
  /** Rejects with the problem `run_conflict` where an `all` run of the predictor is unfinished. */
  start(request: { readonly predictor: string; readonly scope: RunScope }, options?: CallOptions): Promise<Run>;
  list(query?: RunQuery): Promise<RunPage>;
  /** With the users that could not be scored. */
  show(runId: string, options?: CallOptions): Promise<Run>;
  cancel(runId: string, options?: CallOptions): Promise<Run>;
  resume(runId: string, options?: CallOptions): Promise<Run>;
  /** The run at each change, the finished one last. */
  watch(runId: string, options?: Pick<CallOptions, 'signal'>): AsyncIterable<Run>;
}

export interface Client {
  predict(
    predictor: string,
    userId: string,
    options: PredictOptions & { ifNoneMatch: string },
  ): Promise<Answered | NotModified>;
  predict(predictor: string, userId: string, options?: Omit<PredictOptions, 'ifNoneMatch'>): Promise<Answered>;
  /** Up to 1,000 users in one call; an answer or a problem for each, in order. */
  predictMany(predictor: string, userIds: readonly string[], options?: CallOptions): Promise<readonly ManyResult[]>;
  /** Repeats itself while the service is away; ids make that harmless. */
  sendEvents(events: readonly EventInput[], options?: SendOptions): Promise<readonly EventResult[]>;
  readonly runs: RunCalls;
  predictors(options?: CallOptions): Promise<readonly PredictorView[]>;
  /** Newest first. */
  generations(predictor: string, options?: CallOptions): Promise<readonly GenerationView[]>;
  /** @param to a generation's number; left out: the one published before the one in force */
  rollback(predictor: string, to?: number, options?: CallOptions): Promise<Rollback>;
  user(userId: string, options?: CallOptions): Promise<UserView>;
  explanation(predictor: string, userId: string, options?: CallOptions): Promise<Explanation>;
}

const TIMEOUT_MS = 5_000;
const RETRY_FOR_MS = 30_000;
/** The service sends a comment more often than that. */
const IDLE_MS = 60_000;

export function createClient(options: ClientOptions): Client {
  const { url, fetch = globalThis.fetch, timeoutMs = TIMEOUT_MS, headers = {}, source = 'tandem-client' } = options;
  const { random = Math.random, now = Date.now, sleep = sleepFor, newId = () => crypto.randomUUID() } = options;
  const transport = createTransport({ url, fetch, timeoutMs, headers });
  const retry: RetryOptions = { retryForMs: options.retryForMs ?? RETRY_FOR_MS, random, now, sleep };
  const events: EventParts = { transport, retry, source, newId };
  const get = <T>(path: string, call: CallOptions = {}) => answerOf<T>(transport, { path, ...call });
  return {
    predict: predictWith(transport),
    predictMany: (predictor, userIds, call) => predictMany(transport, predictor, userIds, call),
    sendEvents: (batch, call) => sendEvents(events, batch, call),
    runs: runCalls(transport, retry),
    predictors: async (call) => (await get<{ predictors: PredictorView[] }>('/v1/predictors', call)).predictors,
    generations: async (predictor, call) =>
      (await get<{ generations: GenerationView[] }>(`${predictorPath(predictor)}/generations`, call)).generations,
    rollback: (predictor, to, call) => {
      const body = to === undefined ? {} : { to: String(to) };
      return answerOf(transport, { method: 'POST', path: `${predictorPath(predictor)}/rollback`, body, ...call });
    },
    user: (userId, call) => get(userPath(userId), call),
    explanation: (predictor, userId, call) =>
      get(`${userPath(userId)}/explanations/${encodeURIComponent(predictor)}`, call),
  };
}

/** Without an etag in the request there is no 304 in the answer: the overloads say so to the compiler. */
function predictWith(transport: Transport): Client['predict'] {
  return ((predictor: string, userId: string, options?: PredictOptions) =>
    predict(transport, predictor, userId, options)) as Client['predict'];
}

async function predictMany(
  transport: Transport,
  predictor: string,
  userIds: readonly string[],
  options?: CallOptions,
): Promise<readonly ManyResult[]> {
  const call: Call = {
    method: 'POST',
    path: `/v1/predictions/${encodeURIComponent(predictor)}`,
    body: { userIds },
    ...options,
  };
  const { results } = await answerOf<{ results: readonly (PredictionAnswer | Problem)[] }>(transport, call);
  return results.map((result, i): ManyResult => {
    const userId = userIds[i] ?? '';
    return 'prediction' in result
      ? { userId, answer: result, problem: null }
      : { userId, answer: null, problem: result };
  });
}

function runCalls(transport: Transport, retry: RetryOptions): RunCalls {
  const change = (runId: string, verb: 'cancel' | 'resume', options?: CallOptions) =>
    answerOf<Run>(transport, { method: 'POST', path: `${runPath(runId)}/${verb}`, ...options });
  return {
    start: (body, options) => answerOf(transport, { method: 'POST', path: '/v1/runs', body, ...options }),
    list: ({ predictor, limit, before, ...options } = {}) => {
      const query = new URLSearchParams(
        Object.entries({ predictor, limit: limit?.toString(), before }).filter(
          (entry): entry is [string, string] => entry[1] !== undefined,
        ),
      ).toString();
      return answerOf(transport, { path: query === '' ? '/v1/runs' : `/v1/runs?${query}`, ...options });
    },
    show: (runId, options) => answerOf(transport, { path: runPath(runId), ...options }),
    cancel: (runId, options) => change(runId, 'cancel', options),
    resume: (runId, options) => change(runId, 'resume', options),
    watch: (runId, { signal } = {}) => watchRun({ transport, retry, idleMs: IDLE_MS }, runId, signal),
  };
}

async function answerOf<T>(transport: Transport, call: Call): Promise<T> {
  const { body } = await transport.call<T>(call);
  return body as T;
}

const runPath = (runId: string) => `/v1/runs/${encodeURIComponent(runId)}`;
const userPath = (userId: string) => `/v1/users/${encodeURIComponent(userId)}`;
const predictorPath = (predictor: string) => `/v1/predictors/${encodeURIComponent(predictor)}`;
