/**
 * `@tandem/embedded`: certified predictions in an application's own process, without a request to the API. It uses the
 * same reader on the same stores, and runs models in child processes. Importing it has no side effects.
 */
import type { ReadResult } from '@tandem/freshness/answer';
import { isTandemError, notFound, TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { Predictor } from '@tandem/freshness/predictor';
import { assertMigrated } from '@tandem/offline-store/sql/assert-migrated';
import { observers } from '@tandem/rollouts/observe/observe';
import { countWarnings } from '@tandem/telemetry/counted-log';
import { createLog, type Log, silentLog } from '@tandem/telemetry/log';
import { createMetrics, type Metrics } from '@tandem/telemetry/metrics';
import { MAX_USERS, type PredictionView } from '@tandem/wire/predictions';
import { RANK_EXAMPLE, RankSchema } from '@tandem/wire/rankings';
import type { Sent } from '@tandem/wire/schema';
import { ARGUMENT, checkForm } from './check-form.ts';
import { createInferRows, type GivenRow, type InferRows, type Inferred } from './infer-rows.ts';
import { createKnownAssignments } from './known-assignments.ts';
import { openReadingPools } from './open-pools.ts';
import { closeOpened, type Opened, openReading, type Reading } from './open-reading.ts';
import { type CheckedOptions, checkOptions, type TandemOptions } from './options.ts';
import { predictionView } from './prediction-view.ts';
import { assertLogins, proveDatabase } from './prove-database.ts';
import { createRankCandidates, type RankCandidates, type Ranking } from './rank-candidates.ts';
import {
  copyOf,
  type ManyDemand,
  OF_MANY,
  OF_ONE,
  OF_RANKING,
  optionsOf,
  type RankDemand,
  type ReadDemand,
  requestOfOne,
  type UserWithFeatures,
  usersOf,
} from './read-demand.ts';
import { type AskedUsers, createReadUsers, type ReadUsers } from './read-users.ts';

export { isTandemError, TandemError } from '@tandem/freshness/errors';
export type { PredictionView as Prediction } from '@tandem/wire/predictions';
export type { GivenRow, Inferred } from './infer-rows.ts';
export type { TandemOptions } from './options.ts';
export type { Ranking } from './rank-candidates.ts';
export type { ManyDemand, RankDemand, ReadDemand, UserWithFeatures } from './read-demand.ts';

/** A ranking request, as for `POST /v1/rankings/{predictor}`: user, candidates, and the output to rank by. */
export type AskedRanking = Sent<typeof RankSchema>;

export interface Tandem {
  /**
   * Reads one user, as `GET /v1/predictions/{predictor}/{userId}` does. Rejects with a `TandemError`. Its `code` is the
   * code of the API's problem.
   */
  read(predictor: string, userId: string, demand?: ReadDemand): Promise<PredictionView>;
  /**
   * Reads up to 1,000 users, with one request to each store for each hundred users. Returns a prediction or an error for
   * each, in order. Users with request features are inferred for this call, as by `POST /v1/predictions/{predictor}`
   * with `users`.
   */
  readMany(
    predictor: string,
    users: readonly string[] | readonly UserWithFeatures[],
    demand?: ManyDemand,
  ): Promise<readonly (PredictionView | TandemError)[]>;
  /**
   * Ranks up to 500 candidates for one user, as `POST /v1/rankings/{predictor}` does. All candidates have the same
   * label.
   */
  rank(predictor: string, asked: AskedRanking, demand?: RankDemand): Promise<Ranking>;
  /**
   * Runs the model of the predictor's stable arm on up to 1,000 rows of given features. It reads and stores nothing
   * about users, so answers are not certified, and are as old as the features.
   */
  infer(predictor: string, rows: readonly GivenRow[]): Promise<Inferred>;
  /** Returns this process's metrics in the Prometheus text format. */
  metrics(): Promise<string>;
  /**
   * Waits for reads in progress, then closes connections and child processes. Afterwards nothing keeps the process
   * alive. Safe to repeat.
   */
  close(): Promise<void>;
}

/**
 * Opens an embedded reader. Resolves when everything for the first reads is ready, or after 10 s, so that an
 * application may start before its stores. Rejects with `config_invalid` if an option, an address or the schema is
 * invalid, if Postgres rejects the login, or if the database does not exist.
 */
export async function createTandem(options: TandemOptions): Promise<Tandem> {
  const checked = checkOptions(options);
  const metrics = createMetrics({ app: 'embedded', processMetrics: false });
  const log = countWarnings(openLog(checked.logLevel), metrics);
  const opened: Opened = [];
  try {
    const reading = await open(checked, { log, metrics }, opened);
    return new EmbeddedTandem(reading, metrics, opened);
  } catch (error) {
    // The error of the start is more useful than an error of the cleanup.
    await closeOpened(opened).catch(() => {});
    throw withOptionNames(error);
  }
}

const OPTIONS: Readonly<Record<string, string>> = {
  DATABASE_URL: 'database.url',
  FEATURES_DATABASE_URL: 'database.featuresUrl',
  DATABASE_DIRECT_URL: 'database.directUrl',
  DATABASE_CONNECTIONS: 'database.connections',
};

/** Replaces the names of environment variables in an error by the names of options. */
function withOptionNames(error: unknown): unknown {
  if (!isTandemError(error, 'config_invalid')) return error;
  const named = (text: string) => text.replace(/\b[A-Z_]+\b/g, (name) => OPTIONS[name] ?? name);
  const { message, field, remedy } = error;
  return new TandemError('config_invalid', named(message), {
    cause: error,
    ...(field === undefined ? {} : { field: named(field) }),
    ...(remedy === undefined ? {} : { remedy: named(remedy) }),
  });
}

async function open(
  options: CheckedOptions,
  telemetry: { log: Log; metrics: Metrics },
  opened: Opened,
): Promise<Reading> {
  const { connections, live, ...settings } = options;
  const pools = openReadingPools(settings.database, { kind: 'embedded', most: connections });
  opened.push(() => pools.close());
  await assertLogins(settings.database, pools);
  await proveDatabase(settings.database, pools);
  await assertMigrated(pools.vital);
  const reading = { ...settings, ...telemetry, kind: 'embedded', live: live ? 'loaded' : 'none' } as const;
  const ready = await openReading({ ...reading, observers }, pools, opened);
  // Connects and prepares the statement. On a busy machine, a first read that had to do so would miss its time limit.
  await ready.authority.certify([]).catch(() => {});
  return ready;
}

/** Opens the log on standard error, since standard output belongs to the application. */
function openLog(level: CheckedOptions['logLevel']): Log {
  if (level === 'silent') return silentLog;
  return createLog({ name: 'embedded', level, destination: { write: (line) => void process.stderr.write(line) } });
}

class EmbeddedTandem implements Tandem {
  readonly #reading: Reading;
  readonly #metrics: Metrics;
  readonly #opened: Opened;
  readonly #readUsers: ReadUsers;
  readonly #rankCandidates: RankCandidates;
  readonly #inferRows: InferRows;
  #underWay = 0;
  #ended: PromiseWithResolvers<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(reading: Reading, metrics: Metrics, opened: Opened) {
    this.#reading = reading;
    this.#metrics = metrics;
    this.#opened = opened;
    this.#readUsers = createReadUsers({ ...reading, metrics });
    this.#rankCandidates = createRankCandidates({ ...reading, metrics });
    this.#inferRows = createInferRows({ ...reading, knownAssignments: createKnownAssignments(reading) });
  }

  async read(name: string, userId: string, demand?: ReadDemand): Promise<PredictionView> {
    const [options, request] = [optionsOf(demand, OF_ONE), requestOfOne(demand)];
    const [result] = await this.#read(name, { userIds: [userId], fieldOf: () => 'userId', options, request });
    if (result === undefined || result instanceof TandemError) throw result ?? notFound(userId);
    return predictionView(result);
  }

  async readMany(name: string, users: readonly string[] | readonly UserWithFeatures[], demand?: ManyDemand) {
    const options = optionsOf(demand, OF_MANY);
    if (users.length > MAX_USERS) throw tooMany('users', users.length);
    const results = await this.#read(name, { ...usersOf(users), options });
    return results.map((result) => (result instanceof TandemError ? result : predictionView(result)));
  }

  async rank(name: string, asked: AskedRanking, demand?: RankDemand): Promise<Ranking> {
    const options = optionsOf(demand, OF_RANKING);
    const checked = checkForm({ schema: RankSchema, example: RANK_EXAMPLE }, asked, ARGUMENT);
    return this.#during(name, (predictor) => this.#rankCandidates(predictor, checked, options));
  }

  async infer(name: string, rows: readonly GivenRow[]): Promise<Inferred> {
    if (rows.length > MAX_USERS) throw tooMany('rows', rows.length);
    const copied = Array.from(rows, (row, i) => ({ features: copyOf(row?.features, `rows[${i}].features`) }));
    return this.#during(name, (predictor) => this.#inferRows(predictor, copied));
  }

  metrics(): Promise<string> {
    return this.#metrics.exposition();
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  #read(name: string, asked: Omit<AskedUsers, 'predictor'>): Promise<readonly ReadResult[]> {
    return this.#during(name, async (predictor) => {
      const { results, note } = await this.#readUsers({ ...asked, predictor });
      note();
      return results;
    });
  }

  /** Runs work that `close` waits for. */
  async #during<T>(name: string, work: (predictor: Predictor) => Promise<T>): Promise<T> {
    if (this.#closing) throw new TandemError('unavailable', 'This reader is closed.', { remedy: 'create another' });
    this.#underWay++;
    try {
      const predictor = await this.#reading.registry.predictor(name);
      if (!predictor) throw unknownPredictor(name);
      return await work(predictor);
    } finally {
      if (--this.#underWay === 0) this.#ended?.resolve();
    }
  }

  async #end(): Promise<void> {
    this.#ended = Promise.withResolvers();
    if (this.#underWay > 0) await this.#ended.promise;
    await closeOpened(this.#opened);
  }
}

function tooMany(field: string, found: number): TandemError {
  return new TandemError('invalid_input', `This call has ${found} ${field}, but the maximum is ${MAX_USERS}.`, {
    field,
    remedy: 'split the list',
  });
}
