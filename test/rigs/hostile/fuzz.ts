/**
 * `npm run test:fuzz` generates requests for every route of the OpenAPI document. It
 * sends them to an API process with its own Postgres and Redis, and then a tenth as many to each other port. The first
 * line names the seed, which repeats the same requests. Exits with 1 if an answer contradicted the document or a
 * process ended.
 */
import { randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { makeFolder, ownPostgres, ownRedis } from '../../e2e/servers.fixture.ts';
import { MOST_SEED, readCommandLine, wholeNumber } from '../command-line.ts';
import { fuzzPort } from './fuzz/other-ports.ts';
import { type FuzzReport, fuzz } from './fuzz/run.ts';
import { startOtherPorts } from './ports.ts';
import { type Stores, startService } from './service.ts';
import { INSIDES } from './verdict.ts';

const SHOWN = 20;

const HELP = `npm run test:fuzz -- [options]
  --requests 10000   requests to the API; each other port gets a tenth as many
  --seed <number>    repeats the requests of that seed (default: a random one)
`;

const OPTIONS = { requests: { type: 'string', default: '10000' }, seed: { type: 'string' } } as const;

async function main(): Promise<boolean> {
  const { count, seed } = readCommandLine(HELP, OPTIONS, (values) => ({
    count: wholeNumber('requests', values.requests, 1, 10_000_000),
    seed: values.seed === undefined ? randomInt(2 ** 31) : wholeNumber('seed', values.seed, 0, MOST_SEED),
  }));
  process.stdout.write(`fuzz: ${count} requests, seed ${seed}\n`);
  const folder = await makeFolder();
  const [postgres, redis] = await Promise.all([ownPostgres(folder), ownRedis(folder)]);
  try {
    await migrate(postgres.url);
    const stores = { databaseUrl: postgres.url, redisUrl: redis.url };
    const service = await startService(stores, 'int8');
    try {
      const started = performance.now();
      const report = await fuzz(service, { requests: count, seed });
      show(report, performance.now() - started);
      const wrong = service.api.lines.filter((line) => line.level === 'error');
      for (const line of wrong.slice(0, SHOWN)) process.stdout.write(`logged: ${JSON.stringify(line)}\n`);
      const stacks = service.api.lines.filter(
        (line) => Number(line.status) < 500 && INSIDES.test(JSON.stringify(line)),
      );
      process.stdout.write(`the log has ${wrong.length} errors, and ${stacks.length} stacks for mistakes of callers\n`);
      const elsewhere = await fuzzOtherPorts(stores, { numRuns: Math.ceil(count / 10), seed });
      for (const finding of elsewhere.slice(0, SHOWN)) process.stdout.write(`${finding}\n`);
      process.stdout.write(`${elsewhere.length} findings at other ports\n`);
      if (elsewhere.length > 0) return false;
      return report.findings.length === 0 && wrong.length === 0 && stacks.length === 0 && !service.api.hasEnded();
    } finally {
      await service.close();
    }
  } finally {
    await Promise.all([postgres.close(), redis.close()]);
    await rm(folder, { recursive: true, force: true });
  }
}

async function fuzzOtherPorts(
  stores: Stores,
  options: { readonly numRuns: number; readonly seed: number },
): Promise<string[]> {
  const others = await startOtherPorts(stores);
  try {
    const found: string[] = [];
    for (const port of others.ports) found.push(...(await fuzzPort(port, others, options)));
    return found;
  } finally {
    await others.close();
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
