/**
 * The client for applications: typed calls over fetch, each with a deadline, errors as `ProblemError` (the service said
 * no) or `UnreachableError` (it said nothing). Uses what every browser and Node has, and no package.
 */
import { type EventParts, type SendOptions, sendEvents } from './events.ts';
import {
  type Answered,
  type CallOptions,
  type ManyResult,
  type NotModified,
  type PredictManyOptions,
  type PredictOptions,
  predict,
  predictMany,
} from './predictions.ts';
import { type RetryOptions, sleepFor } from './retry.ts';
import { type RunCalls, runCalls } from './runs.ts';
import { answerOf, createTransport, type Transport } from './transport.ts';
import type {
  ErasureReceipt,
  EventInput,
  EventResult,
  Explanation,
  GenerationView,
  ModelView,
  PredictorView,
  Readmission,
  Rollback,
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
  /** An API key: needed where the service is not on loopback alone. */
  readonly apiKey?: string;
  /** Sent with every call. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly fetch?: typeof globalThis.fetch;
  readonly random?: () => number;
  readonly now?: () => number;
  readonly sleep?: RetryOptions['sleep'];
  readonly newId?: () => string;
}

export interface Client {
  predict(
    predictor: string,
    userId: string,
    options: PredictOptions & { ifNoneMatch: string },
  ): Promise<Answered | NotModified>;
  predict(predictor: string, userId: string, options?: Omit<PredictOptions, 'ifNoneMatch'>): Promise<Answered>;
  /** Up to 1,000 users in one call; an answer or a problem for each, in order. */
  predictMany(
    predictor: string,
    userIds: readonly string[],
    options?: PredictManyOptions,
  ): Promise<readonly ManyResult[]>;
  /** Repeats itself while the service is away; ids make that harmless. */
  sendEvents(events: readonly EventInput[], options?: SendOptions): Promise<readonly EventResult[]>;
  readonly runs: RunCalls;
  predictors(options?: CallOptions): Promise<readonly PredictorView[]>;
  /** Model versions, newest first; of one predictor, or of all, predictor by predictor. */
  models(predictor?: string, options?: CallOptions): Promise<readonly ModelView[]>;
  /** Newest first. */
  generations(predictor: string, options?: CallOptions): Promise<readonly GenerationView[]>;
  /** @param to a generation's number; left out: the one published before the one in force */
  rollback(predictor: string, to?: number, options?: CallOptions): Promise<Rollback>;
  user(userId: string, options?: CallOptions): Promise<UserView>;
  /** Erases a user from every store; to repeat it does no harm. A 503 says that the receipt is still missing. */
  eraseUser(userId: string, options?: CallOptions): Promise<ErasureReceipt>;
  /** Ends an erasure; what was erased stays so. */
  readmitUser(userId: string, options?: CallOptions): Promise<Readmission>;
  explanation(predictor: string, userId: string, options?: CallOptions): Promise<Explanation>;
}

const TIMEOUT_MS = 5_000;
const RETRY_FOR_MS = 30_000;

export function createClient(options: ClientOptions): Client {
  const { url, fetch = globalThis.fetch, timeoutMs = TIMEOUT_MS, source = 'tandem-client' } = options;
  const { random = Math.random, now = Date.now, sleep = sleepFor, newId = () => crypto.randomUUID() } = options;
  const transport = createTransport({ url, fetch, timeoutMs, headers: headersOf(options) });
  const retry: RetryOptions = { retryForMs: options.retryForMs ?? RETRY_FOR_MS, random, now, sleep };
  const events: EventParts = { transport, retry, source, newId };
  const get = <T>(path: string, call: CallOptions = {}) => answerOf<T>(transport, { path, ...call });
  return {
    predict: predictWith(transport),
    predictMany: (predictor, userIds, call) => predictMany(transport, predictor, userIds, call),
    sendEvents: (batch, call) => sendEvents(events, batch, call),
    runs: runCalls(transport, retry),
    predictors: async (call) => (await get<{ predictors: PredictorView[] }>('/v1/predictors', call)).predictors,
    models: async (predictor, call) => (await get<{ models: ModelView[] }>(modelsPath(predictor), call)).models,
    generations: async (predictor, call) =>
      (await get<{ generations: GenerationView[] }>(`${predictorPath(predictor)}/generations`, call)).generations,
    rollback: (predictor, to, call) => {
      const body = to === undefined ? {} : { to: String(to) };
      return answerOf(transport, { method: 'POST', path: `${predictorPath(predictor)}/rollback`, body, ...call });
    },
    user: (userId, call) => get(userPath(userId), call),
    eraseUser: (userId, call) => answerOf(transport, { method: 'DELETE', path: userPath(userId), ...call }),
    readmitUser: (userId, call) =>
      answerOf(transport, { method: 'POST', path: `${userPath(userId)}/readmit`, ...call }),
    explanation: (predictor, userId, call) =>
      get(`${userPath(userId)}/explanations/${encodeURIComponent(predictor)}`, call),
  };
}

function headersOf({ apiKey, headers = {} }: ClientOptions): Readonly<Record<string, string>> {
  return apiKey === undefined ? headers : { ...headers, authorization: `Bearer ${apiKey}` };
}

/** Without an etag in the request there is no 304 in the answer: the overloads say so to the compiler. */
function predictWith(transport: Transport): Client['predict'] {
  return ((predictor: string, userId: string, options?: PredictOptions) =>
    predict(transport, predictor, userId, options)) as Client['predict'];
}

const userPath = (userId: string) => `/v1/users/${encodeURIComponent(userId)}`;
const modelsPath = (predictor?: string) =>
  predictor === undefined ? '/v1/models' : `/v1/models/${encodeURIComponent(predictor)}`;
const predictorPath = (predictor: string) => `/v1/predictors/${encodeURIComponent(predictor)}`;
