/**
 * The client for applications: typed calls over fetch, each with a deadline, errors as `ProblemError` (the service said
 * no) or `UnreachableError` (it said nothing). Uses what every browser and Node has, and no package.
 */

import type { AuditPage, AuditQuery } from './audit.ts';
import { type BuildCalls, buildCalls } from './builds.ts';
import { type EventParts, type SendOptions, sendEvents } from './events.ts';
import { type ExplanationCalls, explanationCalls } from './explanations.ts';
import { type ModelCalls, modelCalls } from './models.ts';
import { type OutcomeInput, type OutcomeResult, sendOutcomes } from './outcomes.ts';
import {
  type Answered,
  type CallOptions,
  type ManyResult,
  type NotModified,
  type PredictManyOptions,
  type PredictOptions,
  predict,
  predictMany,
  predictUsers,
  type RankInput,
  type RankOptions,
  rank,
  type UserWithFeatures,
} from './predictions.ts';
import { type RetryOptions, sleepFor } from './retry.ts';
import { type RolloutCalls, rolloutCalls } from './rollouts.ts';
import { type RunCalls, runCalls } from './runs.ts';
import { answerOf, createTransport, pagePath, type Transport } from './transport.ts';
import type {
  ErasureReceipt,
  EventInput,
  EventResult,
  Explanation,
  GenerationReportView,
  GenerationView,
  PredictorView,
  ProcessView,
  Readmission,
  Rollback,
  StableVersionView,
  UserView,
} from './wire.ts';
import type {
  ListGenerationsAnswer,
  ListPredictorsAnswer,
  ListProcessesAnswer,
  ListStableVersionsAnswer,
  Ranking,
} from './wire-types.ts';

export interface ClientOptions {
  /** Where the service listens: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Milliseconds for one attempt of a call. */
  readonly timeoutMs?: number;
  /** Milliseconds during which safe requests are retried. */
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

export interface RollbackOptions extends CallOptions {
  /** Whether the generation may be of a model version that was never stable. */
  readonly force?: boolean;
}

export interface Client extends ModelCalls, BuildCalls {
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
  /** Infers up to 1,000 users with the request features of this call. Returns an answer or a problem for each, in order. */
  predictUsers(
    predictor: string,
    users: readonly UserWithFeatures[],
    options?: PredictManyOptions,
  ): Promise<readonly ManyResult[]>;
  /** Ranks up to 500 candidates for one user by a prediction. */
  rank(predictor: string, input: RankInput, options?: RankOptions): Promise<Ranking>;
  /** Repeats itself while the service is away; ids make that harmless. */
  sendEvents(events: readonly EventInput[], options?: SendOptions): Promise<readonly EventResult[]>;
  /** Up to 1,000. Repeats itself as events do. */
  sendOutcomes(outcomes: readonly OutcomeInput[], options?: SendOptions): Promise<readonly OutcomeResult[]>;
  readonly runs: RunCalls;
  readonly rollouts: RolloutCalls;
  /** Lists kept answers. For the current answer use `explanation`. */
  readonly explanations: ExplanationCalls;
  /** Changes of pointers and keys, newest first. */
  audit(query?: AuditQuery, options?: CallOptions): Promise<AuditPage>;
  predictors(options?: CallOptions): Promise<readonly PredictorView[]>;
  /** The live processes, and which model versions each has loaded. */
  processes(options?: CallOptions): Promise<readonly ProcessView[]>;
  /** Newest first. */
  generations(predictor: string, options?: CallOptions): Promise<readonly GenerationView[]>;
  /** The model versions that were stable, the newest period first. */
  stableVersions(predictor: string, options?: CallOptions): Promise<readonly StableVersionView[]>;
  /** @param to a generation's number; default: the last generation that the stable arm served before the current one */
  rollback(predictor: string, to?: number, options?: RollbackOptions): Promise<Rollback>;
  /** @param generation its number; left out: the newest that was compared */
  generationReport(predictor: string, generation?: number, options?: CallOptions): Promise<GenerationReportView>;
  /** Publishes a generation that was held back. */
  approveGeneration(predictor: string, generation: number, options?: CallOptions): Promise<GenerationView>;
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
    predictUsers: (predictor, users, call) => predictUsers(transport, predictor, users, call),
    rank: (predictor, input, call) => rank(transport, predictor, input, call),
    sendEvents: (batch, call) => sendEvents(events, batch, call),
    sendOutcomes: (batch, call) => sendOutcomes(events, batch, call),
    runs: runCalls(transport, retry),
    rollouts: rolloutCalls(transport),
    explanations: explanationCalls(transport),
    audit: (query = {}, call) => get(pagePath('/v1/audit', { ...query }), call),
    predictors: async (call) => (await get<ListPredictorsAnswer>('/v1/predictors', call)).predictors,
    ...modelCalls(transport, retry),
    ...buildCalls(transport, retry),
    processes: async (call) => (await get<ListProcessesAnswer>('/v1/processes', call)).processes,
    generations: async (predictor, call) =>
      (await get<ListGenerationsAnswer>(`${predictorPath(predictor)}/generations`, call)).generations,
    stableVersions: async (predictor, call) =>
      (
        await get<ListStableVersionsAnswer>(
          pagePath(`${predictorPath(predictor)}/stable-versions`, { limit: 100 }),
          call,
        )
      ).versions,
    rollback: (predictor, to, { force, ...call } = {}) => {
      const body = { ...(to === undefined ? {} : { to: String(to) }), ...(force ? { force } : {}) };
      return answerOf(transport, { method: 'POST', path: `${predictorPath(predictor)}/rollback`, body, ...call });
    },
    generationReport: (predictor, generation, call) =>
      get(`${predictorPath(predictor)}/generations/${generation ?? 'newest'}/report`, call),
    approveGeneration: (predictor, generation, call) => {
      const path = `${predictorPath(predictor)}/generations/${generation}/approve`;
      return answerOf(transport, { method: 'POST', path, ...call });
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
const predictorPath = (predictor: string) => `/v1/predictors/${encodeURIComponent(predictor)}`;
