/** The product's own processes on servers of the benchmark's own, with a predictor of 12 features for a number of users. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { findFreePort } from '@tandem/local-servers/ports';
import { startPostgres } from '@tandem/local-servers/postgres';
import { startRedis } from '@tandem/local-servers/redis';
import { adopt } from '@tandem/offline-store/adopt';
import { createPool } from '@tandem/offline-store/database';
import { migrate } from '@tandem/offline-store/migrate';
import { linearModel } from '@tandem/testing/onnx-models';

const root = resolve(import.meta.dirname, '../..');
const FEATURES = Array.from({ length: 12 }, (_, i) => `f${i + 1}`);

export interface BenchServers {
  readonly env: Readonly<Record<string, string>>;
  readonly pool: ReturnType<typeof createPool>;
  stop(): Promise<void>;
}

export async function startServers(): Promise<BenchServers> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-bench-'));
  await chmod(folder, 0o755);
  const log = () => {};
  const postgres = await startPostgres({ dataDir: join(folder, 'postgres'), log });
  const redis = await startRedis({
    dataDir: join(folder, 'redis'),
    serverDir: join(tmpdir(), 'tandem-test-redis'),
    log,
  });
  await migrate(postgres.url);
  const pool = createPool({ url: postgres.url, max: 4, applicationName: 'bench', statementTimeoutMs: 600_000 });
  return {
    env: { DATABASE_URL: postgres.url, REDIS_URL: redis.url },
    pool,
    async stop() {
      await pool.end();
      await Promise.all([postgres.stop(), redis.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Users with ids of 8 digits, their features, and the predictor `bench` over them. */
export async function adoptBench({ pool }: BenchServers, users: number): Promise<void> {
  await pool.query(`
    create table bench_features as select 10000000 + n as user_id,
      ${FEATURES.map((name) => `random() as ${name}`).join(', ')} from generate_series(0, ${users - 1}) n;
    alter table bench_features add primary key (user_id);
    create table baseline as select user_id::text as user_id, 0::bigint as version from bench_features;
    alter table baseline add primary key (user_id);
    analyze bench_features; analyze baseline`);
  const artifact = linearModel({ weights: FEATURES.map((_, i) => (i - 6) / 10) });
  const freshness = {
    maxAgeMs: null,
    live: true,
    liveTimeoutMs: 1_000,
    onLiveFailure: 'stale' as const,
    unverified: true,
    default: null,
    events: ['*'],
  };
  const definition = {
    predictor: 'bench',
    artifactHash: createHash('sha256').update(artifact).digest('hex'),
    keyType: 'int8' as const,
    query: {
      sql: `select user_id, ${FEATURES.join(', ')} from bench_features`,
      columns: FEATURES.map((name) => ({ name, kind: 'number' as const })),
      asOf: null,
      overlayForMs: null,
    },
    inputs: [{ name: 'features', type: 'float32' as const, columns: FEATURES }],
    outputs: [{ name: 'score', output: 'score', type: 'float32' as const, width: null, index: 0 }],
  };
  const policy = { freshness, batch: { schedule: null, chunkSize: 5_000, minCoverage: 1 } };
  await adopt(pool, { actor: 'bench', predictors: [{ name: 'bench', artifact, policy, definition }] });
}

export interface BenchProcess {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a program of the project; `ready` says whether a line of its output means that it can be used. */
async function start(args: readonly string[], env: Readonly<Record<string, string>>, ready: (line: string) => boolean) {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
  for await (const line of createInterface({ input: child.stdout })) {
    if (!ready(line)) continue;
    child.stdout.resume();
    return { line, stop };
  }
  throw new Error(`${args.join(' ')} ended before it was ready`);
}

export async function startApi({ env }: BenchServers): Promise<BenchProcess> {
  const port = await findFreePort();
  const api = await start(['apps/api/main.ts'], { ...env, PORT: `${port}` }, (line) => line.includes('"api.started"'));
  return { url: `http://127.0.0.1:${port}`, stop: api.stop };
}

export function startWorker({ env }: BenchServers) {
  return start(['apps/worker/main.ts'], env, (line) => line.includes('"worker.started"'));
}

export async function startBaseline({ env }: BenchServers, kind: 'hmget' | 'hmget+pg'): Promise<BenchProcess> {
  const server = await start(['test/bench/baseline-server.ts', kind], env, (line) => /^\d+$/.test(line));
  return { url: `http://127.0.0.1:${server.line}`, stop: server.stop };
}
