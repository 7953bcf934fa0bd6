/**
 * The client for applications: typed calls over fetch, each with a deadline. Errors are `ProblemError` (the service
 * rejected the call) or `UnreachableError` (no answer). It imports no package and no module of a runtime.
 */

import { type OutcomeCalls, outcomeCalls } from '@tandem/outcomes/client';
import { type RolloutCalls, rolloutCalls } from '@tandem/rollouts/client';
import { type Connection, type ConnectionOptions, openConnection } from '@tandem/transport/open-connection';
import type { SendOptions } from '@tandem/transport/send-entries';
import { type CallOptions, methodsOf, pagePath, type Transport } from '@tandem/transport/transport';
import type { AuditPage, AuditQuery } from './audit.ts';
import { type BuildCalls, buildCalls } from './builds.ts';
import { canShareRequest, createCoalescedReads } from './coalesce-reads.ts';
import { sendEvents } from './events.ts';
import { type ExplanationCalls, explanationCalls } from './explanations.ts';
import { type ModelCalls, modelCalls } from './models.ts';
import {
  type Answered,
  type ManyResult,
  type NotModified,
  type PredictManyOptions,
  type PredictOptions,
  predict,
  predictMany,
  predictUsers,
  type RankOptions,
  rank,
} from './predictions.ts';
import type {
  AnyPredictors,
  PredictionOf,
  PredictorName,
  PredictorsLike,
  RankInput,
  RankingOf,
  RequestPredictorName,
  UserWithFeatures,
} from './predictor-types.ts';
import { type RunCalls, runCalls } from './runs.ts';
import { type ContextTokens, createSession, type Session } from './session.ts';
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
} from './wire-types.ts';

export interface ClientOptions extends ConnectionOptions {
  /** Whether single reads of one turn of the event loop may share a request. Default true. */
  readonly coalesce?: boolean;
}

export interface RollbackOptions extends CallOptions {
  /** Whether to allow a generation of a model version that was never stable. */
  readonly force?: boolean;
}

/**
 * The calls of a client.
 * @typeParam P the predictors that `tandem types` writes; any names and outputs if left out
 */
export interface Client<P extends PredictorsLike<P> = AnyPredictors> extends ModelCalls, BuildCalls, OutcomeCalls {
  /**
   * Reads one user. Reads of one turn of the event loop with the same predictor and demands share a request. A read
   * with `minContext` or `ifNoneMatch` has its own request.
   */
  predict<N extends PredictorName<P>>(
    predictor: N,
    userId: string,
    options: PredictOptions & { ifNoneMatch: string },
  ): Promise<Answered<PredictionOf<P, N>> | NotModified>;
  predict<N extends PredictorName<P>>(
    predictor: N,
    userId: string,
    options?: Omit<PredictOptions, 'ifNoneMatch'>,
  ): Promise<Answered<PredictionOf<P, N>>>;
  /** Reads up to 1,000 users in one call. Returns an answer or a problem for each, in order. */
  predictMany<N extends PredictorName<P>>(
    predictor: N,
    userIds: readonly string[],
    options?: PredictManyOptions,
  ): Promise<readonly ManyResult<PredictionOf<P, N>>[]>;
  /** Infers up to 1,000 users with the request features of this call. Returns an answer or a problem for each, in order. */
  predictUsers<N extends RequestPredictorName<P>>(
    predictor: N,
    users: readonly UserWithFeatures<NonNullable<P[N]['request']>>[],
    options?: PredictManyOptions,
  ): Promise<readonly ManyResult<PredictionOf<P, N>>[]>;
  /** Ranks up to 500 candidates for one user by a prediction. */
  rank<N extends RequestPredictorName<P>>(
    predictor: N,
    input: RankInput<P[N]>,
    options?: RankOptions,
  ): Promise<RankingOf<N, P[N]['outputs']>>;
  /** Sends events, and retries while the service does not answer. The ids make retries safe. */
  sendEvents(events: readonly EventInput[], options?: SendOptions): Promise<readonly EventResult[]>;
  /**
   * Starts a session. Its reads reflect the events that it sent.
   * @param tokens tokens of an earlier session
   */
  session(tokens?: ContextTokens): Session<P>;
  readonly runs: RunCalls;
  readonly rollouts: RolloutCalls;
  /** Reads kept explanations. Use `explanation` for the answer that a read would return now. */
  readonly explanations: ExplanationCalls;
  /** Returns changes of pointers and keys, newest first. */
  audit(query?: AuditQuery, options?: CallOptions): Promise<AuditPage>;
  predictors(options?: CallOptions): Promise<readonly PredictorView[]>;
  /** Returns the live processes, and the model versions that each has loaded. */
  processes(options?: CallOptions): Promise<readonly ProcessView[]>;
  /** Returns the generations of a predictor, newest first. */
  generations(predictor: PredictorName<P>, options?: CallOptions): Promise<readonly GenerationView[]>;
  /** Returns the model versions that were stable, newest period first. */
  stableVersions(predictor: PredictorName<P>, options?: CallOptions): Promise<readonly StableVersionView[]>;
  /**
   * Publishes an earlier generation again.
   * @param to a generation's number; default: the generation that the stable arm served before the current one
   */
  rollback(predictor: PredictorName<P>, to?: number, options?: RollbackOptions): Promise<Rollback>;
  /**
   * Returns the report of a generation.
   * @param generation its number; default: the newest generation that was compared
   */
  generationReport(
    predictor: PredictorName<P>,
    generation?: number,
    options?: CallOptions,
  ): Promise<GenerationReportView>;
  /** Publishes a generation that was held back for approval. */
  approveGeneration(predictor: PredictorName<P>, generation: number, options?: CallOptions): Promise<GenerationView>;
  user(userId: string, options?: CallOptions): Promise<UserView>;
  /** Erases a user from every store; safe to repeat. After a 503, repeat the call until it returns the receipt. */
  eraseUser(userId: string, options?: CallOptions): Promise<ErasureReceipt>;
  /** Ends an erasure: the user can be predicted again. Erased data is not restored. */
  readmitUser(userId: string, options?: CallOptions): Promise<Readmission>;
  explanation(predictor: PredictorName<P>, userId: string, options?: CallOptions): Promise<Explanation>;
}

/**
 * Creates a client. It keeps no connection open, so it need not be closed. Throws a `ProblemError` if `url` does not
 * start with `http://`, `https://` or `/`.
 */
export function createClient<P extends PredictorsLike<P> = AnyPredictors>({
  coalesce,
  ...options
}: ClientOptions): Client<P> {
  return clientOf(openConnection(options), coalesce);
}

/** Returns the client of a connection. */
export function clientOf<P extends PredictorsLike<P> = AnyPredictors>(
  connection: Connection,
  coalesce = true,
): Client<P> {
  const client: Client<P> = {
    ...applicationCalls(connection, coalesce),
    session: (tokens) => createSession(client, tokens),
    ...operatorCalls(connection),
  };
  return client;
}

/** Returns the calls of an application. `Client` declares the types of predictors and overloads. */
function applicationCalls<P extends PredictorsLike<P>>(connection: Connection, coalesce: boolean) {
  const { transport } = connection;
  const readTogether = createCoalescedReads(transport);
  const calls = {
    predict: (predictor: string, userId: string, call: PredictOptions = {}) =>
      coalesce && call.minContext === undefined && call.ifNoneMatch === undefined && canShareRequest(userId)
        ? readTogether(predictor, userId, call)
        : predict(transport, predictor, userId, call),
    predictMany: (predictor: string, userIds: readonly string[], call?: PredictManyOptions) =>
      predictMany(transport, predictor, userIds, call),
    predictUsers: (predictor: string, users: readonly UserWithFeatures[], call?: PredictManyOptions) =>
      predictUsers(transport, predictor, users, call),
    rank: (predictor: string, input: RankInput, call?: RankOptions) => rank(transport, predictor, input, call),
  };
  return {
    ...(calls as unknown as Pick<Client<P>, keyof typeof calls>),
    sendEvents: (batch: readonly EventInput[], call?: SendOptions) => sendEvents(connection, batch, call),
    ...outcomeCalls(connection),
  };
}

type OperatorCalls = Omit<Client, keyof ReturnType<typeof applicationCalls> | 'session'>;

/** Returns the calls for operators. */
function operatorCalls({ transport, retry }: Connection): OperatorCalls {
  const { get, post, remove } = methodsOf(transport);
  return {
    runs: runCalls(transport, retry),
    rollouts: rolloutCalls(transport),
    explanations: explanationCalls(transport),
    ...modelCalls(transport, retry.retryForMs),
    ...buildCalls(transport, retry),
    ...generationCalls(transport),
    audit: (query = {}, call) => get(pagePath('/v1/audit', { ...query }), call),
    predictors: async (call) => (await get<ListPredictorsAnswer>('/v1/predictors', call)).predictors,
    processes: async (call) => (await get<ListProcessesAnswer>('/v1/processes', call)).processes,
    user: (userId, call) => get(userPath(userId), call),
    eraseUser: (userId, call) => remove(userPath(userId), { isRepeatable: true, ...call }),
    readmitUser: (userId, call) => post(`${userPath(userId)}/readmit`, call),
    explanation: (predictor, userId, call) =>
      get(`${userPath(userId)}/explanations/${encodeURIComponent(predictor)}`, call),
  };
}

type GenerationCalls = Pick<
  Client,
  'generations' | 'stableVersions' | 'rollback' | 'generationReport' | 'approveGeneration'
>;

function generationCalls(transport: Transport): GenerationCalls {
  const { get, post } = methodsOf(transport);
  return {
    generations: async (predictor, call) =>
      (await get<ListGenerationsAnswer>(`${predictorPath(predictor)}/generations`, call)).generations,
    stableVersions: async (predictor, call) => {
      const path = pagePath(`${predictorPath(predictor)}/stable-versions`, { limit: 100 });
      return (await get<ListStableVersionsAnswer>(path, call)).versions;
    },
    rollback: (predictor, to, { force, ...call } = {}) => {
      const body = { ...(to === undefined ? {} : { to: String(to) }), ...(force ? { force } : {}) };
      return post(`${predictorPath(predictor)}/rollback`, call, body);
    },
    generationReport: (predictor, generation, call) =>
      get(`${predictorPath(predictor)}/generations/${generation ?? 'newest'}/report`, call),
    approveGeneration: (predictor, generation, call) =>
      post(`${predictorPath(predictor)}/generations/${generation}/approve`, call),
  };
}

const userPath = (userId: string) => `/v1/users/${encodeURIComponent(userId)}`;
const predictorPath = (predictor: string) => `/v1/predictors/${encodeURIComponent(predictor)}`;
