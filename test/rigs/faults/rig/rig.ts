/**
 * The deployment under test. Each part is a real process: Postgres, two Redis, APIs and workers under a supervisor, and a
 * TCP proxy between each program and each store. Faults act on the deployment; plants affect only its child processes.
 */
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createRandom } from '@tandem/experiment/distributions/random';
import { findFreePort } from '@tandem/local-servers/ports';
import { watchSource } from '@tandem/offline-store/sources/watch-source';
import { createPool } from '@tandem/offline-store/sql/database';
import { COUNT, type Pool } from '../../../e2e/counts.fixture.ts';
import { asManaged } from '../../../e2e/managed-postgres.fixture.ts';
import { type OwnPooler, startPooler } from '../../../e2e/pooler.fixture.ts';
import { type PostgresPair, severalServers, startPair } from '../../../e2e/postgres-pair.fixture.ts';
import type { ProgramName } from '../../../e2e/program.fixture.ts';
import { WATCHED_USERS } from '../load/table-writers.ts';
import { failpoints } from '../plant/failpoints.ts';
import { findPlants } from '../plant/plants.ts';
import { migratePlanted } from './planted-schema.ts';
import type { TcpProxy } from './proxy.ts';
import { type ReplicatedForm, type ReplicatedRedis, startReplicatedRedis } from './replicated-redis.ts';
import { buildClockShim, createServerClock } from './server-clock.ts';
import { watchSharedRows } from './shared-rows.ts';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';
import { type RigPostgres, type RigRedis, type StoreName, startPostgresOf, startRedisOf } from './stores.ts';
import { type SupervisedProgram, superviseProgram } from './supervised-program.ts';
import { adoptToldVersions, type ToldCounts } from './told-versions.ts';
import { openWays, waysTo } from './ways.ts';

/** Differences from the ordinary deployment. */
export interface DeploymentForm {
  /** Whether the predictor's table is watched, and the load writes only application tables, without events. */
  readonly isWatched?: boolean;
  /** Whether each program connects to Postgres through its own PgBouncer in transaction mode, except for connections that need a session. */
  readonly throughPooler?: boolean;
  /** The share of the readers that use an application with an embedded reader. Default: 0. */
  readonly embeddedShare?: number;
  /** Whether Postgres has the rights of a managed service, where each restart begins another history. */
  readonly isManaged?: boolean;
}

export interface RigOptions extends DeploymentForm {
  readonly seed: number;
  /** The folder of data, server logs and failpoint files; it is created if missing. The account of Postgres must be able to enter it. */
  readonly folder: string;
  /** Names of plants in addition to the failpoints. */
  readonly plants?: readonly string[];
  readonly apis?: number;
  readonly workers?: number;
  /** Applications with an embedded reader; none by default. */
  readonly embedded?: number;
  /** The predictor: test/e2e/counts.fixture.ts. */
  readonly counts: ToldCounts;
  /** Further environment variables of APIs and workers. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The size of a disk for Postgres' data, which can be filled. */
  readonly postgresDiskMb?: number;
  /** A replicated Redis for both cache and queue; programs then do not use `Rig.cache` and `Rig.queue`. */
  readonly redis?: ReplicatedForm | undefined;
  /** Whether a standby at another address follows Postgres, and DATABASE_URL names both. */
  readonly hasStandby?: boolean;
  /** Called with each line of output of a program. */
  onLine?(name: string, line: string): void;
}

export interface Rig {
  readonly seed: number;
  readonly folder: string;
  /** The adopted predictor. */
  readonly counts: ToldCounts;
  /** Numbers in [0, 1), from the seed. */
  readonly random: () => number;
  /** The primary, if there are two servers. */
  readonly postgres: RigPostgres;
  readonly pair: PostgresPair<RigPostgres> | null;
  readonly cache: RigRedis;
  readonly queue: RigRedis;
  readonly replicated: ReplicatedRedis | null;
  /** The disk of Postgres; null without a separate disk. */
  readonly disk: SmallDisk | null;
  readonly apis: readonly SupervisedProgram[];
  readonly workers: readonly SupervisedProgram[];
  readonly embedded: readonly SupervisedProgram[];
  readonly programs: readonly SupervisedProgram[];
  /** The application's own connections, directly to Postgres; they reconnect after an outage. */
  readonly pool: Pool;
  /** Returns the proxies of all programs, or of some, to that store. */
  proxies(store: StoreName, of?: readonly SupervisedProgram[]): readonly TcpProxy[];
  /** Starts further workers; the caller closes them. */
  hireWorkers(count: number): Promise<readonly SupervisedProgram[]>;
  /** Switches to another database: programs use it after their next start, the application from its next connection on. */
  useDatabase(name: string): void;
  /** Rotates the history, as ops must after a restore: versions of the lost history then prove nothing. */
  rotateHistory(): Promise<void>;
  /**
   * Removes all effects of proxies, failpoints and clocks, continues stopped and held processes, and waits until all
   * have started.
   */
  settle(withinMs?: number): Promise<void>;
  /** Ends all processes that the rig started, by process id. */
  close(): Promise<void>;
}

const STORES: readonly StoreName[] = ['postgres', 'cache', 'queue'];
/** Settings by which the cache may evict any key at any time, as in production. */
export const CACHE_SETTINGS = { 'maxmemory-policy': 'allkeys-lru' };
const SIZES = { INFERENCE_PROCESSES: '1', CHUNK_LEASE_MS: '1000' };

type Closing = () => Promise<unknown>;

export async function createRig(options: RigOptions): Promise<Rig> {
  const opened: Closing[] = [];
  const close = async () => {
    for (const closeOne of opened.splice(0).reverse()) await closeOne();
  };
  try {
    return await build(options, opened, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function build(options: RigOptions, opened: Closing[], close: () => Promise<void>): Promise<Rig> {
  const { seed, folder, apis = 2, workers = 2, embedded = 0 } = options;
  await makeFolder(folder);
  const stores = await startStores(options, opened);
  const login = options.isManaged ? await asManaged(stores.postgres.url) : stores.postgres.url;
  const pair = options.hasStandby ? await startSecond(folder, stores.postgres, opened) : null;
  const pool = await prepareDatabase(options, pair ? severalServers(pair.servers.map(loginAt(login))) : login, opened);
  const programs: SupervisedProgram[] = [];
  let database = new URL(login).pathname.slice(1);
  const named = { ...stores, standby: pair?.servers[1] ?? null, login: () => inDatabase(login, database) };
  for (let no = 1; no <= apis; no++) programs.push(await startOne('api', no, options, named, opened));
  for (let no = 1; no <= workers; no++) programs.push(await startOne('worker', no, options, named, opened));
  for (let no = 1; no <= embedded; no++) programs.push(await startOne('embedded', no, options, named, opened));
  await Promise.all(programs.map((program) => program.ready()));
  return {
    seed,
    folder,
    counts: options.counts,
    random: createRandom(seed),
    ...stores,
    get postgres() {
      return pair?.primary() ?? stores.postgres;
    },
    pair,
    programs,
    apis: programs.filter(({ kind }) => kind === 'api'),
    workers: programs.filter(({ kind }) => kind === 'worker'),
    embedded: programs.filter(({ kind }) => kind === 'embedded'),
    pool,
    proxies: (store, of = programs) => of.flatMap((program) => waysTo(store, program.proxies)),
    async hireWorkers(count) {
      const hired: SupervisedProgram[] = [];
      for (let no = 1; no <= count; no++) hired.push(await startOne('worker', workers + no, options, named, opened));
      await Promise.all(hired.map((program) => program.ready()));
      return hired;
    },
    useDatabase(name) {
      database = name;
      pool.options.connectionString = inDatabase(login, name);
    },
    async rotateHistory() {
      await pool.query('update tandem.history_rotation set rotation = gen_random_uuid(), rotated_at = now()');
    },
    async settle(withinMs) {
      for (const program of programs) {
        program.failpoints.disarmAll();
        program.setClock(0);
        program.signal('SIGCONT');
        program.release();
        for (const store of STORES) for (const way of waysTo(store, program.proxies)) await way.heal();
      }
      pair?.standby().signal('SIGCONT');
      for (const store of STORES) {
        stores[store].signal('SIGCONT');
        await stores[store].clock?.setClock(0);
      }
      await Promise.all(programs.map((program) => program.ready(withinMs)));
    },
    close,
  };
}

/** Makes the folder. Other accounts may enter it but not list it: Postgres' own account must reach its folder. */
async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
}

type Stores = Readonly<{
  postgres: RigPostgres;
  cache: RigRedis;
  queue: RigRedis;
  replicated: ReplicatedRedis | null;
  disk: SmallDisk | null;
}>;

async function startStores({ folder, postgresDiskMb, redis }: RigOptions, opened: Closing[]): Promise<Stores> {
  const disk = postgresDiskMb === undefined ? null : await mountSmallDisk(join(folder, 'postgres'), postgresDiskMb);
  if (disk) opened.push(() => disk.close());
  const keep = <T extends { close(): Promise<void> }>(server: T): T => {
    opened.push(() => server.close());
    return server;
  };
  const library = await buildClockShim(folder).catch(() => null);
  const clockOf = async (store: StoreName) =>
    library === null ? null : createServerClock(library, join(folder, `${store}.clock`));
  const postgres = keep(await startPostgresOf(folder, await clockOf('postgres')));
  const cache = keep(await startRedisOf(join(folder, 'cache'), await clockOf('cache'), CACHE_SETTINGS));
  const queue = keep(await startRedisOf(join(folder, 'queue'), await clockOf('queue')));
  const replicated = redis ? keep(await startReplicatedRedis(redis)) : null;
  return { postgres, cache, queue, replicated, disk };
}

async function startSecond(folder: string, first: RigPostgres, opened: Closing[]): Promise<PostgresPair<RigPostgres>> {
  return startPair(folder, first, async () => {
    const second = await startPostgresOf(folder, null, 'standby');
    opened.push(() => second.close());
    return second;
  });
}

/** Makes the URL of that login at the address of a server. */
function loginAt(login: string) {
  return ({ url }: RigPostgres) => Object.assign(new URL(login), { port: new URL(url).port }).href;
}

async function prepareDatabase(
  { folder, plants = [], counts, isWatched = false }: RigOptions,
  url: string,
  opened: Closing[],
): Promise<Pool> {
  await migratePlanted(url, findPlants(plants), join(folder, 'migrations'));
  const pool = createPool({ url, max: 16, applicationName: 'application' });
  opened.push(() => pool.end());
  await adoptToldVersions(pool, counts);
  if (isWatched) {
    // `load` is not watched, because faults change it: a version must rise only with a change that the score shows.
    const watch = { table: 'counts', key: 'user_id', columns: ['changes'], predictors: [COUNT], actor: 'rig' };
    await watchSource(pool, { ...watch, maxUsers: WATCHED_USERS });
    await watchSharedRows(pool);
  }
  return pool;
}

async function startOne(
  kind: ProgramName,
  no: number,
  { seed, folder, plants = [], environment = {}, throughPooler = false, onLine }: RigOptions,
  stores: Stores & { standby: RigPostgres | null; login(): string },
  opened: Closing[],
): Promise<SupervisedProgram> {
  const proxies = await openWays(seed, `${kind} ${no}`, stores, (proxy) => opened.push(() => proxy.close()));
  const direct = () => severalServers(waysTo('postgres', proxies).map((way) => way.by(stores.login())));
  const pooler = throughPooler ? await startOwnPooler(join(folder, `${kind}-${no}-pooler`), direct(), opened) : null;
  const port = kind === 'worker' ? null : await findFreePort();
  const program = superviseProgram({
    kind,
    no,
    proxies,
    url: port === null ? null : `http://127.0.0.1:${port}`,
    environment: () => ({
      ...(pooler ? { DATABASE_URL: pooler.by(direct()), DATABASE_DIRECT_URL: direct() } : { DATABASE_URL: direct() }),
      ...(stores.replicated
        ? { REDIS_URL: stores.replicated.url }
        : { REDIS_URL: proxies.cache.by(stores.cache.url), QUEUE_REDIS_URL: proxies.queue.by(stores.queue.url) }),
      ...(port === null ? {} : { PORT: String(port) }),
      ...SIZES,
      ...environment,
    }),
    plants: [failpoints.name, ...plants],
    pointsFile: join(folder, `${kind}-${no}.points.json`),
    clockFile: join(folder, `${kind}-${no}.clock`),
    ...(onLine ? { onLine } : {}),
  });
  opened.push(() => program.close());
  return program;
}

/** Starts a pooler between the program and its proxy, so that each fault of the proxy affects both addresses. */
async function startOwnPooler(folder: string, url: string, opened: Closing[]): Promise<OwnPooler> {
  // As docs/postgres-connections.md says: by default PgBouncer waits for 15 s after a failed attempt.
  const pooler = await startPooler({ folder, url, settings: ['server_login_retry = 1'] });
  opened.push(() => pooler.close());
  return pooler;
}

/** Returns the URL of another database of that server. */
export function inDatabase(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${name}`;
  return other.href;
}
