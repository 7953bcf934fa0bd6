/** A deployment of the service for a test: a database, a Redis, and the APIs and workers that the test starts. */
import { rm } from 'node:fs/promises';
import { type Client, createClient } from '@tandem/client/create-client';
import type { Run, RunRequest } from '@tandem/client/wire';
import { type HostileDefaults, setDefaults } from '@tandem/offline-store/hostile-defaults.fixture';
import { createPool } from '@tandem/offline-store/sql/database';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { cloneDatabase } from '@tandem/testing/databases';
import { ProblemError } from '@tandem/transport/client-errors';
import { inject } from 'vitest';
import type { Pool } from './counts.fixture.ts';
import { COUNT } from './counts.fixture.ts';
import { asManaged } from './managed-postgres.fixture.ts';
import { endPrograms, type Program, type ProgramName, startProgram } from './program.fixture.ts';
import { makeFolder, type OwnPostgres, type OwnRedis, ownPostgres, ownRedis } from './servers.fixture.ts';
import { until } from './until.fixture.ts';
import { createWireWatch, type WireWatch } from './wire-watch.fixture.ts';

export interface Api extends Program {
  readonly url: string;
  readonly port: number;
  /** A client that makes one attempt per call and checks the status of each answer. */
  readonly client: Client;
}

type Environment = Readonly<Record<string, string>>;

export interface Deployment {
  /** The variables with the addresses of the stores. */
  readonly environment: Readonly<Record<'DATABASE_URL' | 'REDIS_URL', string>>;
  /** The folder of the servers' data, which is removed at the end. */
  readonly folder: string;
  /** The connections of the application and the test. */
  readonly pool: Pool;
  readonly redis: OwnRedis;
  /** The test's own Postgres, or null if the test did not request one. */
  readonly postgres: OwnPostgres | null;
  readonly wire: WireWatch;
  /** Starts an API. Resolves when it answers. */
  startApi(options?: { port?: number; environment?: Environment; checkout?: string }): Promise<Api>;
  startWorker(environment?: Environment, checkout?: string): Promise<Program>;
  /** Starts a run of all users, waits for its end, and returns the number of its generation. */
  runEveryone(api: Api): Promise<string>;
  close(): Promise<void>;
}

/** The time limit for one call in milliseconds. A longer call counts as hanging. */
export const CALL_MS = 30_000;
/** Options of a call that is repeated while a busy machine refuses it. By default a client makes one attempt. */
export const PATIENT = { retryForMs: 60_000 };

export interface DeploymentOptions {
  readonly ownPostgres?: boolean;
  /**
   * Whether the test has its own Postgres with the rights of a managed service. Programs and test are the database's
   * owner.
   */
  readonly isManaged?: boolean;
  /** The migrations of the test's own Postgres; default: those of this release. */
  readonly migrations?: URL;
  /** Settings of the database, which apply to every session. */
  readonly defaults?: HostileDefaults;
}

export async function createDeployment(options: DeploymentOptions = {}): Promise<Deployment> {
  const folder = await makeFolder();
  const redis = await ownRedis(folder);
  const database = options.ownPostgres ? await ownDatabase(folder, options) : await clonedDatabase();
  if (options.defaults) await setDefaults(database.url, options.defaults);
  const pool = createPool({ url: database.url, max: 12, applicationName: 'e2e-test' });
  const programs: Program[] = [];
  const wire = createWireWatch();
  const servers = { DATABASE_URL: database.url, REDIS_URL: redis.url };
  const start = (name: ProgramName, environment: Environment, checkout?: string) => {
    const sizes = { INFERENCE_PROCESSES: '1', CHUNK_LEASE_MS: '1000' };
    const program = startProgram(name, { ...servers, ...sizes, ...environment }, { checkout });
    programs.push(program);
    return program;
  };

  async function startApi({
    port,
    environment = {},
    checkout,
  }: Parameters<Deployment['startApi']>[0] = {}): Promise<Api> {
    // Port 0 lets the system choose. A port that was free a moment ago may be in use by another test.
    const program = start('api', { PORT: String(port ?? 0), ...environment }, checkout);
    const url = String((await program.logged('api.started')).url);
    await wire.learn(url);
    return { ...program, url, port: Number(new URL(url).port), client: clientOf(url, wire) };
  }

  async function startWorker(environment: Environment = {}, checkout?: string): Promise<Program> {
    const program = start('worker', environment, checkout);
    await program.logged('worker.started');
    return program;
  }

  return {
    environment: servers,
    folder,
    pool,
    redis,
    postgres: database.server,
    wire,
    startApi,
    startWorker,
    async runEveryone({ client }) {
      const { id } = await startRun(client, { predictor: COUNT, scope: 'all' });
      for await (const _ of client.runs.watch(id));
      const run = await client.runs.show(id);
      if (run.state !== 'done') throw new Error(`the run is ${run.state}: ${run.error}`);
      return run.generation ?? '';
    },
    async close() {
      await endPrograms(programs);
      // Dropping also ends connections that a failed test did not release. Otherwise the pool would wait for them.
      const poolEnded = pool.end();
      await database.drop();
      await poolEnded;
      await redis.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @param retryForMs 0 means one attempt, so that the test sees each answer */
export function clientOf(url: string, wire: WireWatch, retryForMs = 0): Client {
  return createClient({ url, timeoutMs: CALL_MS, retryForMs, fetch: wire.fetch, source: 'e2e' });
}

interface Database {
  readonly url: string;
  readonly server: OwnPostgres | null;
  drop(): Promise<void>;
}

async function clonedDatabase(): Promise<Database> {
  const database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  return { ...database, server: null };
}

async function ownDatabase(folder: string, { isManaged = false, migrations }: DeploymentOptions): Promise<Database> {
  const server = await ownPostgres(folder);
  const url = isManaged ? await asManaged(server.url) : server.url;
  await migrate(url, undefined, migrations);
  return { url, server, drop: () => server.close() };
}

/**
 * Starts a run. Repeats the request while a busy machine refuses it. A request that failed may have stored its run, so
 * a conflict after it means that run.
 */
export function startRun(client: Client, request: RunRequest): Promise<Run> {
  let mayBeStored = false;
  return until('the run is accepted', async () => {
    try {
      return await client.runs.start(request);
    } catch (error) {
      const isConflict = error instanceof ProblemError && error.code === 'run_conflict';
      if (!isConflict || !mayBeStored) {
        mayBeStored ||= !isConflict;
        throw error;
      }
      return (await client.runs.list({ predictor: request.predictor })).runs[0];
    }
  });
}
