/**
 * `npm run bench`: ratios against named baselines, measured in one run on one machine, medians of rounds that alternate.
 * Servers, baselines and load share the machine, so the absolute figures are for orientation alone.
 */
import { parseArgs } from 'node:util';
import { createClient } from '@tandem/client/create-client';
import { Redis } from 'ioredis';
import { type LoadResult, loadReads, median } from './load.ts';
import {
  adoptBench,
  type BenchProcess,
  type BenchServers,
  startApi,
  startBaseline,
  startServers,
  startWorker,
} from './service.ts';

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
  },
});
const users = Number(values.users);

async function fillBaseline({ env }: BenchServers): Promise<void> {
  const redis = new Redis(env.REDIS_URL ?? '');
  for (let first = 0; first < users; first += 1_000) {
    const pipeline = redis.pipeline();
    for (let n = first; n < Math.min(users, first + 1_000); n++)
      pipeline.hset(`baseline:${10_000_000 + n}`, { score: '0.5', version: '0' });
    await pipeline.exec();
  }
  redis.disconnect();
}

/** The first run warms everything up; the second is measured. */
async function measureBatch(api: BenchProcess): Promise<number> {
  const tandem = createClient({ url: api.url });
  let seconds = Number.NaN;
  for (let round = 0; round < 2; round++) {
    const started = performance.now();
    let run = await tandem.runs.start({ predictor: 'bench', scope: 'all' });
    for await (run of tandem.runs.watch(run.id));
    if (run.state !== 'done') throw new Error(`the run ended as ${run.state}: ${run.error}`);
    seconds = (performance.now() - started) / 1000;
  }
  return users / seconds;
}

async function measureReads(targets: Readonly<Record<string, BenchProcess>>): Promise<Map<string, LoadResult[]>> {
  const results = new Map<string, LoadResult[]>();
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [name, target] of Object.entries(targets)) {
      const result = await loadReads(target.url, users, Number(values.seconds));
      // Round 0 warms up.
      if (round > 0) results.set(name, [...(results.get(name) ?? []), result]);
    }
  }
  return results;
}

function report(results: ReadonlyMap<string, readonly LoadResult[]>, usersPerSecond: number): void {
  const rate = (name: string) => median((results.get(name) ?? []).map((one) => one.requestsPerSecond));
  for (const [name, rounds] of results) {
    const p50 = median(rounds.map((one) => one.p50Ms));
    const p99 = median(rounds.map((one) => one.p99Ms));
    console.log(
      `${name.padEnd(12)} ${Math.round(rate(name)).toLocaleString('en').padStart(8)} reads/s   p50 ${p50} ms   p99 ${p99} ms`,
    );
  }
  console.log(
    `cached read: ${(rate('tandem') / rate('hmget')).toFixed(2)} × a bare HMGET, ${(rate('tandem') / rate('hmget+pg')).toFixed(2)} × HMGET + primary-key query`,
  );
  console.log(
    `batch: ${Math.round(usersPerSecond).toLocaleString('en')} users/s from request to publication (12 features, linear model, one worker)`,
  );
}

const servers = await startServers();
const processes: { stop(): Promise<void> }[] = [];
try {
  await adoptBench(servers, users);
  await fillBaseline(servers);
  const api = await startApi(servers);
  const worker = await startWorker(servers);
  processes.push(api, worker);
  const usersPerSecond = await measureBatch(api);
  await worker.stop();
  const hmget = await startBaseline(servers, 'hmget');
  const hmgetPg = await startBaseline(servers, 'hmget+pg');
  processes.push(hmget, hmgetPg);
  report(await measureReads({ hmget, 'hmget+pg': hmgetPg, tandem: api }), usersPerSecond);
} finally {
  for (const one of processes.reverse()) await one.stop();
  await servers.stop();
}
