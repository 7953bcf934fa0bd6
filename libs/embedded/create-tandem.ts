/**
 * `@tandem/embedded`: certified predictions in an application's own process, without a hop to the API. The same reader on the
 * same stores; models run in child processes, as in an API. Importing it does nothing.
 */
import type { Answer, ReadResult } from '@tandem/freshness/answer';
import { isTandemError, notFound, TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { Predictor } from '@tandem/freshness/predictor';
import type { ReadOptions } from '@tandem/freshness/read-options';
import { userIdProblem } from '@tandem/freshness/user-id';
import { assertMigrated } from '@tandem/offline-store/sql/assert-migrated';
import { countWarnings } from '@tandem/telemetry/counted-log';
import { createLog, type Log, silentLog } from '@tandem/telemetry/log';
import { createMetrics, type Metrics } from '@tandem/telemetry/metrics';
import type { PredictionView } from '@tandem/wire/predictions';
import { openReadingPools } from './open-pools.ts';
import { closeOpened, type Opened, openReading, type Reading } from './open-reading.ts';
import { type CheckedOptions, checkOptions, type TandemOptions } from './options.ts';
import { createPredictionCount, predictionView } from './prediction-view.ts';
import { proveDatabase } from './prove-database.ts';
import { type ReadDemand, readOptionsOf } from './read-demand.ts';

export { isTandemError, TandemError } from '@tandem/freshness/errors';
export type { PredictionView as Prediction } from '@tandem/wire/predictions';
export type { TandemOptions } from './options.ts';
export type { ReadDemand } from './read-demand.ts';

export interface Tandem {
  /** Answers as `GET /v1/predictions/{predictor}/{userId}` does. Rejects with a `TandemError`, whose `code` is that of the problem. */
  read(predictor: string, userId: string, demand?: ReadDemand): Promise<PredictionView>;
  /** Reads up to 1,000 users: for each, in order, a prediction or the error in its place. Each store is asked once. */
  readMany(
    predictor: string,
    userIds: readonly string[],
    demand?: Omit<ReadDemand, 'minContext'>,
  ): Promise<readonly (PredictionView | TandemError)[]>;
  /** This process's metrics in the Prometheus text format. */
  metrics(): Promise<string>;
  /** Ends reads under way, then connections and children. Nothing keeps the process alive after it. Safe to repeat. */
  close(): Promise<void>;
}

/** The limit of one POST to the API. */
const MOST_USERS = 1_000;

/**
 * Opens an embedded reader. Resolves when all that the first reads need is ready, or after 10 s: an application may start
 * before its stores. Rejects with `config_invalid` if an option, an address or the schema is invalid.
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
    // The error of the start says more than one of closing.
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

/** Names the options where an error of the stores names the variables of an API's environment. */
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
  await proveDatabase(settings.database, pools);
  await assertMigrated(pools.vital);
  const reading = { ...settings, ...telemetry, kind: 'embedded', live: live ? 'loaded' : 'none' } as const;
  return openReading(reading, pools, opened);
}

/** Opens the log on standard error: standard output is the application's. */
function openLog(level: CheckedOptions['logLevel']): Log {
  if (level === 'silent') return silentLog;
  return createLog({ name: 'embedded', level, destination: { write: (line) => void process.stderr.write(line) } });
}

class EmbeddedTandem implements Tandem {
  readonly #reading: Reading;
  readonly #metrics: Metrics;
  readonly #opened: Opened;
  readonly #count: ReturnType<typeof createPredictionCount>;
  #underWay = 0;
  #ended: PromiseWithResolvers<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(reading: Reading, metrics: Metrics, opened: Opened) {
    this.#reading = reading;
    this.#metrics = metrics;
    this.#opened = opened;
    this.#count = createPredictionCount(metrics);
  }

  async read(predictor: string, userId: string, demand?: ReadDemand): Promise<PredictionView> {
    const options = readOptionsOf(demand);
    const [result] = await this.#readUsers(predictor, options, ({ keyType }) => {
      const refused = userIdProblem(keyType, userId, 'userId');
      if (refused) throw refused;
      return [userId];
    });
    if (result === undefined || result instanceof TandemError) throw result ?? notFound(userId);
    return predictionView(result);
  }

  async readMany(predictor: string, userIds: readonly string[], demand?: Omit<ReadDemand, 'minContext'>) {
    const options = readOptionsOf(demand);
    if (options.minContext) throw tokenOfOneUser();
    if (userIds.length > MOST_USERS) throw tooMany(userIds.length);
    const refused = new Map<number, TandemError>();
    const results = await this.#readUsers(predictor, options, ({ keyType }) =>
      userIds.filter((userId, i) => {
        const problem = userIdProblem(keyType, userId, `userIds[${i}]`);
        if (problem) refused.set(i, problem);
        return problem === undefined;
      }),
    );
    const [cause] = results;
    if (isTandemError(cause, 'unavailable', 'protocol_unknown') && results.every((one) => one === cause)) throw cause;
    const inOrder = results.values();
    return userIds.map((_, i) => {
      const result = refused.get(i) ?? (inOrder.next().value as ReadResult);
      return result instanceof TandemError ? result : predictionView(result);
    });
  }

  metrics(): Promise<string> {
    return this.#metrics.exposition();
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  /** @param usable returns the ids to read; throws if none may be read */
  async #readUsers(
    name: string,
    options: ReadOptions,
    usable: (predictor: Predictor) => readonly string[],
  ): Promise<readonly ReadResult[]> {
    if (this.#closing) throw new TandemError('unavailable', 'This reader was closed.', { remedy: 'create another' });
    this.#underWay++;
    try {
      const startedAt = performance.now();
      const predictor = await this.#reading.registry.predictor(name);
      if (!predictor) throw unknownPredictor(name);
      const userIds = usable(predictor);
      const results = userIds.length === 0 ? [] : await this.#reading.readPrediction(name, userIds, options);
      this.#note(predictor, userIds, results, performance.now() - startedAt);
      return results;
    } finally {
      if (--this.#underWay === 0) this.#ended?.resolve();
    }
  }

  /** Counts the reads as an API does: as demand, in rollouts, and in metrics. */
  #note(predictor: Predictor, userIds: readonly string[], results: readonly ReadResult[], ms: number): void {
    const { servedReads, readCounts } = this.#reading;
    for (const [i, result] of results.entries()) {
      const userId = userIds[i] ?? '';
      servedReads.note({ predictor, userId, result, ms });
      readCounts.note(userId, result);
      if (result instanceof TandemError) {
        this.#metrics.predictionErrors.inc({ predictor: predictor.name, code: result.code });
      } else this.#count(result satisfies Answer);
    }
  }

  async #end(): Promise<void> {
    this.#ended = Promise.withResolvers();
    if (this.#underWay > 0) await this.#ended.promise;
    await closeOpened(this.#opened);
  }
}

function tokenOfOneUser(): TandemError {
  return new TandemError('invalid_input', 'A context token is of one user; readMany reads several.', {
    field: 'minContext',
    remedy: 'read that user by read, or leave minContext out',
  });
}

function tooMany(users: number): TandemError {
  return new TandemError('invalid_input', `readMany takes at most ${MOST_USERS} users, and was given ${users}.`, {
    field: 'userIds',
    remedy: 'split the list',
  });
}
