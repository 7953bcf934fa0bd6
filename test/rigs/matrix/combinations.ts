/**
 * The combinations of versions. Six combinations cover every supported version at least once, with the oldest together
 * and the newest together. If one of them fails, the combinations with a single changed part show which part is the
 * cause. Four more combinations use the Postgres of distributions, which compiles plans (JIT with LLVM) as its settings
 * say.
 */

/** The tests of a combination: vitest's filters for file paths, and vitest projects. */
export interface Suite {
  readonly projects: readonly string[];
  readonly files: readonly string[];
}

/** Tests that use Postgres or Redis: statements, scripts, the queue, reads, runs, API and worker on both. */
const STORES: Suite = {
  projects: ['integration', 'end to end'],
  files: [
    ...['libs/offline-store/', 'libs/online-store/', 'libs/queue/', 'libs/prediction/', 'test/contract/'],
    ...['test/freshness/', 'apps/worker/', 'apps/api/', 'apps/cli/doctor/'],
  ],
};

/**
 * Tests whose plans Postgres may compile: statements and triggers of all processes, with the limits of each process.
 */
const PLANS: Suite = {
  projects: ['integration', 'end to end', 'long'],
  files: [
    ...STORES.files.filter((file) => file !== 'libs/online-store/'),
    'apps/api/hostile-defaults',
    'test/e2e/hostile-defaults',
  ],
};

/** Tests that start processes, read files or run models, from the command line to the inference children. */
const PROGRAMS: Suite = {
  projects: ['unit', 'integration', 'end to end'],
  files: [
    ...['libs/config/', 'libs/inference/', 'libs/local-servers/', 'libs/queue/', 'apps/cli/'],
    ...['apps/api/main', 'apps/worker/worker', 'test/e2e/killed-processes'],
  ],
};

const BOTH: Suite = { projects: PROGRAMS.projects, files: [...new Set([...STORES.files, ...PROGRAMS.files])] };

export interface Images {
  readonly postgres: string;
  readonly redis: string;
}

export interface Combination {
  /** The name for the command line: `npm run test:matrix -- --only postgres-15`. */
  readonly name: string;
  /** Whether the combination changes a single part and runs only if it is named. */
  readonly onlyNamed: boolean;
  readonly suite: Suite;
  /** Images of servers in containers. If null, the tests start the servers themselves. */
  readonly images: Images | null;
  /** The major version of an installed Postgres with JIT. If null, `images` decides. */
  readonly installedPostgres: number | null;
  /** A version of Node from npm. If null, the version that runs this program. */
  readonly node: string | null;
  /**
   * `here` is this checkout and the current user. The others are a copy at a path with a space, for root or an ordinary
   * user.
   */
  readonly place: 'here' | 'spaced path, root' | 'spaced path, user';
}

export const NEWEST: Images = { postgres: 'postgres:18-alpine', redis: 'redis:8-alpine' };
/** Built from Debian's package if the official image cannot be fetched; see `valkey.Dockerfile`. */
export const VALKEY = 'valkey/valkey:8';

const NODE_22 = '22.23.3';
const NODE_24 = '24.21.0';
const NODE_26 = '26.10.0';

const together = (name: string, suite: Suite, images: Images | null, node: string): Combination => {
  return { name, onlyNamed: false, suite, images, installedPostgres: null, node, place: 'here' };
};
const elsewhere = (name: string, place: Combination['place']): Combination => {
  return { name, onlyNamed: false, suite: PROGRAMS, images: null, installedPostgres: null, node: null, place };
};
const stores = (name: string, images: Partial<Images>): Combination => {
  return {
    name,
    onlyNamed: true,
    suite: STORES,
    images: { ...NEWEST, ...images },
    installedPostgres: null,
    node: null,
    place: 'here',
  };
};
const programs = (name: string, node: string): Combination => {
  return { name, onlyNamed: true, suite: PROGRAMS, images: null, installedPostgres: null, node, place: 'here' };
};

const compiling = (installedPostgres: number): Combination => {
  const name = `jit-${installedPostgres}`;
  return { name, onlyNamed: false, suite: PLANS, images: null, installedPostgres, node: null, place: 'here' };
};

export const combinations: readonly Combination[] = [
  together('oldest', BOTH, { postgres: 'postgres:15-alpine', redis: 'redis:7.0' }, NODE_22),
  together('middle', STORES, { postgres: 'postgres:16-alpine', redis: 'redis:7.2' }, NODE_24),
  together('valkey', BOTH, { postgres: 'postgres:17-alpine', redis: VALKEY }, NODE_26),
  together('newest', STORES, NEWEST, NODE_24),
  elsewhere('spaced-root', 'spaced path, root'),
  elsewhere('spaced-user', 'spaced path, user'),
  compiling(15),
  compiling(16),
  compiling(17),
  compiling(18),
  stores('postgres-15', { postgres: 'postgres:15-alpine' }),
  stores('postgres-16', { postgres: 'postgres:16-alpine' }),
  stores('postgres-17', { postgres: 'postgres:17-alpine' }),
  stores('redis-7.0', { redis: 'redis:7.0' }),
  stores('redis-7.2', { redis: 'redis:7.2' }),
  stores('redis-7.4', { redis: 'redis:7.4' }),
  stores('valkey-8', { redis: VALKEY }),
  programs('node-22', NODE_22),
  programs('node-24', NODE_24),
  programs('node-26', NODE_26),
];
