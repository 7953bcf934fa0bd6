/**
 * `npm run test:fuzz [-- --requests 10000 --seed S]`: requests out of the OpenAPI document, every route of it, to the
 * service's own process on a Postgres and a Redis of its own. The first line tells the seed, which makes the same requests
 * again; the exit code is 1 where an answer was outside the document.
 */
import { randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { migrate } from '@tandem/offline-store/migrate';
import { makeFolder, ownPostgres, ownRedis } from '../e2e/servers.fixture.ts';
import { type FuzzReport, fuzz } from './fuzz/run.ts';
import { startService } from './service.ts';
import { INSIDES } from './verdict.ts';

const SHOWN = 20;

async function main(): Promise<boolean> {
  const { values } = parseArgs({ options: { requests: { type: 'string' }, seed: { type: 'string' } } });
  const count = Number(values.requests ?? 10_000);
  const seed = Number(values.seed ?? randomInt(2 ** 31));
  process.stdout.write(`fuzz: ${count} requests, seed ${seed}\n`);
  const folder = await makeFolder();
  const [postgres, redis] = await Promise.all([ownPostgres(folder), ownRedis(folder)]);
  try {
    await migrate(postgres.url);
    const service = await startService({ databaseUrl: postgres.url, redisUrl: redis.url }, 'int8');
    try {
      const started = performance.now();
      const report = await fuzz(service, { requests: count, seed });
      show(report, performance.now() - started);
      const wrong = service.api.lines.filter((line) => line.level === 'error');
      for (const line of wrong.slice(0, SHOWN)) process.stdout.write(`logged: ${JSON.stringify(line)}\n`);
      const stacks = service.api.lines.filter(
        (line) => Number(line.status) < 500 && INSIDES.test(JSON.stringify(line)),
      );
      process.stdout.write(`${wrong.length} errors and ${stacks.length} stacks of callers' mistakes in the log\n`);
      return report.findings.length === 0 && wrong.length === 0 && stacks.length === 0 && !service.api.hasEnded();
    } finally {
      await service.close();
    }
  } finally {
    await Promise.all([postgres.close(), redis.close()]);
    await rm(folder, { recursive: true, force: true });
  }
}

function show({ seed, sent, answers, findings }: FuzzReport, ms: number): void {
  for (const [key, times] of [...answers].sort()) process.stdout.write(`${String(times).padStart(6)}  ${key}\n`);
  for (const { index, sent: text, faults } of findings.slice(0, SHOWN)) {
    process.stdout.write(`\nrequest ${index} of seed ${seed}: ${faults.join('; ')}\n${JSON.stringify(text)}\n`);
  }
  process.stdout.write(`\n${sent} requests in ${(ms / 1_000).toFixed(1)} s, ${findings.length} findings\n`);
}

process.exitCode = (await main()) ? 0 : 1;
