/** One deployment of the service: a database, a Redis, and as many APIs and workers as a test starts and ends. */
import { rm } from 'node:fs/promises';
import { type Client, createClient } from '@tandem/client/create-client';
import { type HostileDefaults, setDefaults } from '@tandem/offline-store/hostile-defaults.fixture';
import { createPool } from '@tandem/offline-store/sql/database';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { cloneDatabase } from '@tandem/testing/databases';
import { inject } from 'vitest';
import type { Pool } from './counts.fixture.ts';
import { COUNT } from './counts.fixture.ts';
import { asManaged } from './managed-postgres.fixture.ts';
import { endPrograms, type Program, type ProgramName, startProgram } from './program.fixture.ts';
import { makeFolder, type OwnPostgres, type OwnRedis, ownPostgres, ownRedis } from './servers.fixture.ts';
import { createWireWatch, type WireWatch } from './wire-watch.fixture.ts';

export interface Api extends Program {
  readonly url: string;
  readonly port: number;
  /** Answers and refuses as the service does; one attempt a call, and each answer's status is looked at. */
  readonly client: Client;
}

type Environment = Readonly<Record<string, string>>;

export interface Deployment {
  /** The addresses of its stores, as its programs are given them. */
  readonly environment: Readonly<Record<'DATABASE_URL' | 'REDIS_URL', string>>;
  /** Holds the servers' data; what a test puts there goes with them. */
  readonly folder: string;
  /** The application's and the test's own connections. */
  readonly pool: Pool;
  readonly redis: OwnRedis;
  /** Only where the test asked for a Postgres of its own. */
  readonly postgres: OwnPostgres | null;
  readonly wire: WireWatch;
  /** Resolves when it answers. */
  startApi(options?: { port?: number; environment?: Environment; checkout?: string }): Promise<Api>;
  startWorker(environment?: Environment, checkout?: string): Promise<Program>;
  /** Starts a run of everyone, waits for its end, and until Redis holds its generation; gives the generation's number. */
  runEveryone(api: Api): Promise<string>;
  close(): Promise<void>;
}

/** Milliseconds for one call: a call that takes longer counts as hanging. */
export const CALL_MS = 30_000;

export interface DeploymentOptions {
  readonly ownPostgres?: boolean;
  /** Its own Postgres has the rights that a provider of managed ones leaves; programs and test are the owner of the database. */
  readonly isManaged?: boolean;
  /** Of the database, for every session on it. */
  readonly defaults?: HostileDefaults;
}

export async function createDeployment(options: DeploymentOptions = {}): Promise<Deployment> {
  const folder = await makeFolder();
  const redis = await ownRedis(folder);
  const database = options.ownPostgres ? await ownDatabase(folder, options.isManaged) : await clonedDatabase();
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
    // Any port but a given one: a port that was free a moment ago may be another test's by now.
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
      const { id } = await client.runs.start({ predictor: COUNT, scope: 'all' });
      for await (const _ of client.runs.watch(id));
      const run = await client.runs.show(id);
      if (run.state !== 'done') throw new Error(`the run is ${run.state}: ${run.error}`);
      return run.generation ?? '';
    },
    async close() {
      await endPrograms(programs);
      // Dropping ends the connections also of a test that failed with one in its hands, for which the pool would wait.
      const poolEnded = pool.end();
      await database.drop();
      await poolEnded;
      await redis.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @param retryForMs left out: one attempt, so that the test sees each answer */
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

async function ownDatabase(folder: string, isManaged = false): Promise<Database> {
  const server = await ownPostgres(folder);
  const url = isManaged ? await asManaged(server.url) : server.url;
  await migrate(url);
  return { url, server, drop: () => server.close() };
}
