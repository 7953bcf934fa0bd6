/**
 * The deployment under test, each part a real process: Postgres, two Redis, APIs and workers under a supervisor, and a
 * TCP proxy on each program's way to each store. Faults act on it; plants are in its children alone.
 */
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findFreePort } from '@tandem/local-servers/ports';
import { watchSource } from '@tandem/offline-store/sources/watch-source';
import { createPool } from '@tandem/offline-store/sql/database';
import { createRandom } from '../../../../apps/shop/replay/random.ts';
import { COUNT, type Counts, type Pool } from '../../../e2e/counts.fixture.ts';
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
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';
import { type RigPostgres, type RigRedis, type StoreName, startPostgresOf, startRedisOf } from './stores.ts';
import { type SupervisedProgram, superviseProgram } from './supervised-program.ts';
import { adoptToldVersions } from './told-versions.ts';
import { openWays, waysTo } from './ways.ts';

/** What stands under and beside the programs, where it is not the ordinary deployment. */
export interface DeploymentForm {
  /** The predictor's table is watched, and the load writes application tables only: its changes need no event. */
  readonly isWatched?: boolean;
  /** Each program's way to Postgres leads through a PgBouncer in transaction mode of its own, but for what needs a session. */
  readonly throughPooler?: boolean;
  /** The share of the readers that ask an application with an embedded reader; 0 by default. */
  readonly embeddedShare?: number;
  /** Postgres has the rights that a provider leaves: each of its restarts begins another history. */
  readonly isManaged?: boolean;
}

export interface RigOptions extends DeploymentForm {
  readonly seed: number;
  /** Made where missing; holds data, logs of the servers and failpoint files. The account of Postgres must reach it. */
  readonly folder: string;
  /** Names of plants beside the failpoints. */
  readonly plants?: readonly string[];
  readonly apis?: number;
  readonly workers?: number;
  /** Applications with an embedded reader; none by default. */
  readonly embedded?: number;
  /** The predictor: test/e2e/counts.fixture.ts. */
  readonly counts: Counts;
  /** Of both APIs and workers, beyond the rig's own. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Postgres' data are on a disk of that size, which can be filled. */
  readonly postgresDiskMb?: number;
  /** Cache and queue together are such a Redis; `Rig.cache` and `Rig.queue` are used by no program then. */
  readonly redis?: ReplicatedForm | undefined;
  /** A standby follows Postgres at an address of its own, and DATABASE_URL names both. */
  readonly hasStandby?: boolean;
  /** Shown each line that a program writes. */
  onLine?(name: string, line: string): void;
}

export interface Rig {
  readonly seed: number;
  readonly folder: string;
  /** What was adopted. */
  readonly counts: Counts;
  /** Numbers in [0, 1), from the seed. */
  readonly random: () => number;
  /** The primary, where there are two. */
  readonly postgres: RigPostgres;
  readonly pair: PostgresPair<RigPostgres> | null;
  readonly cache: RigRedis;
  readonly queue: RigRedis;
  readonly replicated: ReplicatedRedis | null;
  /** Of Postgres, where it has one of its own. */
  readonly disk: SmallDisk | null;
  readonly apis: readonly SupervisedProgram[];
  readonly workers: readonly SupervisedProgram[];
  readonly embedded: readonly SupervisedProgram[];
  readonly programs: readonly SupervisedProgram[];
  /** The application's own connections, straight to Postgres; they come back by themselves after an outage. */
  readonly pool: Pool;
  /** All ways to that store, or those of some programs. */
  proxies(store: StoreName, of?: readonly SupervisedProgram[]): readonly TcpProxy[];
  /** More workers, beside the rig's own; the caller closes them. */
  hireWorkers(count: number): Promise<readonly SupervisedProgram[]>;
  /** The programs reach that database of the server from their next start on, the application from its next connection. */
  useDatabase(name: string): void;
  /** As ops are told to do after a restore: versions of the past that is lost prove nothing from now on. */
  rotateHistory(): Promise<void>;
  /**
   * Removes all effects of proxies, failpoints and clocks, continues stopped and held processes, and waits until all
   * have started.
   */
  settle(withinMs?: number): Promise<void>;
  /** Ends everything that it started, by process id. */
  close(): Promise<void>;
}

const STORES: readonly StoreName[] = ['postgres', 'cache', 'queue'];
/** The cache may lose anything at any time, as in production. */
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

/** Others may pass, not look: Postgres' own account has to reach its folder. */
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

/** That login, at the address of a server. */
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
    // Not `load`, which faults change as well: a version rises with a change that the score shows, or not at all.
    const watch = { table: 'counts', key: 'user_id', columns: ['changes'], predictors: [COUNT], actor: 'rig' };
    await watchSource(pool, { ...watch, maxUsers: WATCHED_USERS });
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

/** Between the program and its proxy, so that each fault of the proxy is one of both ways. */
async function startOwnPooler(folder: string, url: string, opened: Closing[]): Promise<OwnPooler> {
  // As docs/postgres-connections.md says: by default it waits for 15 s after an attempt that failed.
  const pooler = await startPooler({ folder, url, settings: ['server_login_retry = 1'] });
  opened.push(() => pooler.close());
  return pooler;
}

/** The URL of another database of that server. */
export function inDatabase(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${name}`;
  return other.href;
}
