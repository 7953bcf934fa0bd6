/**
 * What is put together with what. One part at a time differs from the newest of all, and one combination has the oldest of
 * each: a fault of one version shows in its own line, and one of the oldest together in the last.
 */

/** The tests of a combination: filters of vitest over file paths, and its projects. */
export interface Suite {
  readonly projects: readonly string[];
  readonly files: readonly string[];
}

/** Whatever speaks to Postgres or Redis: statements, scripts, the queue, reads, runs, API and worker on both. */
const STORES: Suite = {
  projects: ['integration', 'end to end'],
  files: [
    ...['libs/offline-store/', 'libs/online-store/', 'libs/queue/', 'libs/prediction/run-chunk', 'test/contract/'],
    ...['apps/worker/', 'apps/api/main', 'apps/api/app', 'apps/api/routes/', 'apps/cli/doctor/'],
  ],
};

/** Whatever starts processes, reads files or runs models, from the command line to the inference children. */
const PROGRAMS: Suite = {
  projects: ['unit', 'integration', 'end to end'],
  files: [
    ...['libs/config/', 'libs/inference/', 'libs/local-servers/', 'libs/queue/', 'apps/cli/'],
    ...['apps/api/main', 'apps/worker/worker', 'test/e2e/killed-processes'],
  ],
};

export interface Images {
  readonly postgres: string;
  readonly redis: string;
}

export interface Combination {
  /** As named on the command line: `npm run test:matrix -- --only postgres-15`. */
  readonly name: string;
  readonly suite: Suite;
  /** Servers in containers; null: the servers that the tests start themselves. */
  readonly images: Images | null;
  /** A version of Node from npm; null: the one that runs this. */
  readonly node: string | null;
  /** `here`: in this checkout, as whoever runs this; else a copy at a path with a space, as root or as an ordinary user. */
  readonly place: 'here' | 'spaced path, root' | 'spaced path, user';
}

export const NEWEST: Images = { postgres: 'postgres:18-alpine', redis: 'redis:8-alpine' };
/** Debian's, for where the official image cannot be fetched; see `valkey.Dockerfile`. */
export const VALKEY = 'valkey/valkey:8';

const stores = (name: string, images: Partial<Images>): Combination => {
  return { name, suite: STORES, images: { ...NEWEST, ...images }, node: null, place: 'here' };
};
const programs = (name: string, node: string | null, place: Combination['place']): Combination => {
  return { name, suite: PROGRAMS, images: null, node, place };
};

export const combinations: readonly Combination[] = [
  stores('newest', {}),
  stores('postgres-17', { postgres: 'postgres:17-alpine' }),
  stores('postgres-16', { postgres: 'postgres:16-alpine' }),
  stores('postgres-15', { postgres: 'postgres:15-alpine' }),
  stores('redis-7.0', { redis: 'redis:7.0' }),
  stores('redis-7.2', { redis: 'redis:7.2' }),
  stores('redis-7.4', { redis: 'redis:7.4' }),
  stores('valkey-8', { redis: VALKEY }),
  programs('node-22', '22.23.3', 'here'),
  programs('node-24', '24.21.0', 'here'),
  programs('node-26', '26.10.0', 'here'),
  programs('spaced-root', null, 'spaced path, root'),
  programs('spaced-user', null, 'spaced path, user'),
  { ...stores('oldest', { postgres: 'postgres:15-alpine', redis: 'redis:7.0' }), node: '22.23.3' },
];
