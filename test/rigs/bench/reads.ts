/**
 * Measures cached reads over 64 connections: the stored prediction is fresh, and Postgres certifies each read. Compares them
 * with two handlers that a competent engineer would write (baseline-server.ts): one HMGET without a check, and the same with a
 * query by primary key. Users are drawn uniformly or by Zipf's law with exponent 1. Other requests read a hundred users.
 *
 * Each cached read asks Redis, because the API keeps no predictions in memory (ANSWER_CACHE_MB=0). For the skewed
 * traffic ANSWER_CACHE_MB has its default, and both sides have a longer warm-up. This measures a service in steady
 * state, not the minute after its start.
 *
 * Rounds alternate between the targets, and each ratio compares measurements of one round. Two figures are printed beside the
 * rate: the server's CPU per read, which other work on the machine hardly changes, and the share of a core that the load took.
 * That share must be far below 1; otherwise the load limits the rate.
 */
import { createClient } from '@tandem/client/create-client';
import { Redis } from 'ioredis';
import { type LoadResult, load } from './load.ts';
import { createUserPicker, type UserPicker } from './pick-users.ts';
import { adoptBench, FIRST_USER } from './predictors.ts';
import { openWorkerParts, runEveryone } from './run-everyone.ts';
import { type BenchOptions, type Figure, figureOf, type Section } from './section.ts';
import { type BenchProcess, type BenchServers, startApi, startBaseline, startWorker } from './service.ts';

const CONNECTIONS = 64;
const USERS_A_REQUEST = 100;
/** The length of the warm-up in rounds. After it, nearly all users of a round are in memory. */
const SKEWED_WARM_UP = 6;

/** Requests of one kind to one server. */
interface Target {
  readonly name: string;
  readonly server: BenchProcess;
  readonly connections: number;
  /** The length of the warm-up in rounds. */
  readonly warmUp: number;
  next(): string;
}

type Results = ReadonlyMap<string, readonly LoadResult[]>;

export const reads: Section = {
  name: 'reads',
  async measure(servers, options, say) {
    await adoptBench(servers, options.users);
    await fillBaseline(servers, options.users);
    await scoreEveryone(servers);
    const processes: BenchProcess[] = [];
    const opened = async (starting: Promise<BenchProcess>) => {
      const one = await starting;
      processes.push(one);
      return one;
    };
    try {
      const hmget = await opened(startBaseline(servers, 'hmget'));
      const query = await opened(startBaseline(servers, 'hmget+pg'));
      const api = await opened(startApi(servers, { ANSWER_CACHE_MB: '0' }));
      const remembering = await opened(startApi(servers));
      const targets = targetsOf({ hmget, query, api, remembering }, options.users);
      return figures(await measureRounds(targets, options, say));
    } finally {
      for (const one of processes.reverse()) await one.stop();
    }
  },
};

async function fillBaseline({ env }: BenchServers, users: number): Promise<void> {
  const redis = new Redis(env.REDIS_URL);
  try {
    for (let first = 0; first < users; first += 1_000) {
      const pipeline = redis.pipeline();
      for (let n = first; n < Math.min(users, first + 1_000); n++)
        pipeline.hset(`baseline:${FIRST_USER + n}`, { score: '0.5', version: '0' });
      await pipeline.exec();
    }
  } finally {
    redis.disconnect();
  }
}

/** Runs all users. Resolves when the generation is published and loaded into Redis. */
export async function scoreEveryone(servers: BenchServers, predictor = 'bench'): Promise<void> {
  const api = await startApi(servers);
  const worker = await startWorker(servers);
  const parts = await openWorkerParts(servers);
  try {
    await runEveryone(servers, createClient({ url: api.url }), parts, predictor);
  } finally {
    await parts.close();
    await worker.stop();
    await api.stop();
  }
}

function targetsOf(
  { hmget, query, api, remembering }: Readonly<Record<'hmget' | 'query' | 'api' | 'remembering', BenchProcess>>,
  users: number,
): Target[] {
  const uniform = createUserPicker(users, 0);
  const skewed = createUserPicker(users, 1);
  const one = (name: string, server: BenchProcess, pick: UserPicker, connections = CONNECTIONS): Target => {
    const tail = ` HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\n\r\n`;
    const warmUp = pick === skewed ? SKEWED_WARM_UP : 1;
    return { name, server, connections, warmUp, next: () => `GET /v1/predictions/bench/${FIRST_USER + pick()}${tail}` };
  };
  return [
    one('HMGET', hmget, uniform),
    one('HMGET + query', query, uniform),
    one('cached read', api, uniform),
    one('skewed, HMGET', hmget, skewed),
    one('skewed, cached read', remembering, skewed),
    one('one user alone', api, uniform, 1),
    many('100 users alone', api, uniform, 1),
    many('100 users, 8 at once', api, uniform, 8),
  ];
}

function many(name: string, server: BenchProcess, pick: UserPicker, connections: number): Target {
  const next = manyUsers(new URL(server.url).host, pick, USERS_A_REQUEST);
  return { name, server, connections, warmUp: 1, next };
}

/** Returns a function that writes requests of many users. */
export function manyUsers(host: string, pick: UserPicker, users: number): () => string {
  const head = `POST /v1/predictions/bench HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n`;
  return () => {
    const body = JSON.stringify({ userIds: Array.from({ length: users }, () => String(FIRST_USER + pick())) });
    return `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
  };
}

async function measureRounds(
  targets: readonly Target[],
  { rounds, seconds }: BenchOptions,
  say: (line: string) => void,
): Promise<Results> {
  const results = new Map<string, LoadResult[]>();
  // Round 0 warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const { name, server, connections, warmUp, next } of targets) {
      const lasting = round === 0 ? seconds * warmUp : seconds;
      const result = await load({ url: server.url, pid: server.pid, connections, seconds: lasting, next });
      if (result.failed > 0) throw new Error(`${name}: ${result.failed} answers were no 200`);
      if (round > 0) results.set(name, [...(results.get(name) ?? []), result]);
      say(
        `round ${round}: ${name.padEnd(20)} ${Math.round(result.requestsPerSecond)} requests/s   p50 ${result.p50Ms.toFixed(2)} ms   p99 ${result.p99Ms.toFixed(2)} ms   CPU: server ${result.cpuMicros.toFixed(1)} µs, load ${result.ownCpuMicros.toFixed(1)} µs`,
      );
    }
  }
  return results;
}

function figures(results: Results): Figure[] {
  const of = (name: string, value: (result: LoadResult) => number) => (results.get(name) ?? []).map(value);
  const rate = (result: LoadResult) => result.requestsPerSecond;
  const cpu = (result: LoadResult) => result.cpuMicros;
  const p50 = (result: LoadResult) => result.p50Ms;
  const over = (name: string, to: string, value: (result: LoadResult) => number) => {
    const below = of(to, value);
    return of(name, value).map((above, i) => above / (below[i] ?? Number.NaN));
  };
  return [
    figureOf('cached read / HMGET', 'ratio', over('cached read', 'HMGET', rate), { least: 0.6 }),
    figureOf('cached read / HMGET + query', 'ratio', over('cached read', 'HMGET + query', rate), { least: 2 }),
    figureOf('skewed, cached read / HMGET', 'ratio', over('skewed, cached read', 'skewed, HMGET', rate), {
      least: 0.8,
    }),
    figureOf('100 users / one user, time', 'ratio', over('100 users alone', 'one user alone', p50), { most: 8 }),
    figureOf('100 users / one user, CPU', 'ratio', over('100 users alone', 'one user alone', cpu), { most: 8 }),
    ...[...results.keys()].map((name) => figureOf(`${name}, rate`, 'reads/s', of(name, rate))),
    ...[...results.keys()].map((name) => figureOf(`${name}, CPU of the server`, 'µs', of(name, cpu))),
    figureOf('cached read, p50', 'ms', of('cached read', p50)),
    figureOf(
      'cached read, p99',
      'ms',
      of('cached read', (result) => result.p99Ms),
    ),
    figureOf(
      'HMGET, share of a core that the load took',
      'ratio',
      of('HMGET', (result) => (result.ownCpuMicros * result.requestsPerSecond) / 1e6),
    ),
  ];
}
