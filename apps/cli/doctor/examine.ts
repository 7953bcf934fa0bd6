/** Looks at everything that Tandem stands on; what cannot be reached becomes a finding, not an error. */
import { maskUrl } from '@tandem/config/mask-url';
import { createPool } from '@tandem/offline-store/database';
import type { Cli } from '../cli.ts';
import { explainFailure } from '../failure.ts';
import { type Finding, failed } from '../output/finding.ts';
import { findApiUrl, findDatabaseUrl, findRedisUrl } from '../servers/addresses.ts';
import { examineSchema } from './examine-schema.ts';
import { judgeDisk, judgeNode, judgePort } from './judge-machine.ts';
import { judgePostgres } from './judge-postgres.ts';
import { judgeRedis } from './judge-redis.ts';
import { readPostgresFacts } from './read-postgres-facts.ts';
import { readRedisFacts } from './read-redis-facts.ts';

export async function examine(cli: Cli): Promise<Finding[]> {
  const apiUrl = findApiUrl(cli, undefined);
  const port = Number(new URL(apiUrl).port || (apiUrl.startsWith('https') ? 443 : 80));
  const parts = await Promise.all([
    judgeNode(process.version),
    judgeDisk(cli.cwd),
    judgePort(port, apiUrl),
    reached(
      'postgres',
      () => findDatabaseUrl(cli),
      (url) => examinePostgres(url, cli.now),
    ),
    reached(
      'redis',
      () => findRedisUrl(cli),
      (url) => examineRedis(url, cli),
    ),
  ]);
  return parts.flat();
}

/** A server's findings, or the one that says why there are none. */
async function reached(
  subject: string,
  findUrl: () => string,
  look: (url: string) => Promise<Finding[]>,
): Promise<Finding[]> {
  let where = '';
  try {
    const url = findUrl();
    where = `${maskUrl(url)}: `;
    return await look(url);
  } catch (error) {
    const { message, remedy } = explainFailure(error);
    return [
      failed(subject, `${where}${message}`, remedy ?? 'see that it runs, and that address and password are right'),
    ];
  }
}

async function examinePostgres(url: string, now: () => number): Promise<Finding[]> {
  const pool = createPool({ url, max: 1, applicationName: 'tandem-doctor' });
  try {
    // Connected before the clocks are compared, so that the middle of the question is where both were read.
    await pool.query('select 1');
    const before = now();
    const facts = await readPostgresFacts(pool);
    return [...judgePostgres(facts, (before + now()) / 2), await examineSchema(pool)];
  } finally {
    await pool.end();
  }
}

/** The queue may have a Redis of its own, with its own demands. */
async function examineRedis(url: string, { env }: Cli): Promise<Finding[]> {
  const queueUrl = env.QUEUE_REDIS_URL || url;
  const findings = judgeRedis(await readRedisFacts(url, queueUrl === url));
  if (queueUrl === url) return findings;
  const ofQueue = judgeRedis(await readRedisFacts(queueUrl, true));
  return [...findings, ...ofQueue.map((finding) => ({ ...finding, subject: `queue ${finding.subject}` }))];
}
