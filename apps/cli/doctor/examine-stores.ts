/** Examines Postgres and Redis at their addresses. A server that cannot be reached is a finding, not an error. */
import { maskUrl } from '@tandem/config/environment/environment';
import { createPool } from '@tandem/offline-store/sql/database';
import { explainFailure } from '../command-line/failure.ts';
import { type Finding, failed } from '../output/finding.ts';
import { examineSchema } from './examine-schema.ts';
import { judgePostgres, readPostgresFacts } from './postgres.ts';
import { judgeRedis, readRedisFacts } from './redis.ts';

/** @param now ms since 1970 on our clock */
export function examinePostgres(url: string, now: () => number): Promise<Finding[]> {
  return reached('postgres', url, async () => {
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
  });
}

/**
 * @param queueUrl the queue may have a Redis of its own, with its own demands
 * @param withinMs how long a server may take to be connected
 */
export async function examineRedis(url: string, queueUrl: string, withinMs?: number): Promise<Finding[]> {
  const isShared = queueUrl === url;
  const examine = (one: string, holdsQueue: boolean) =>
    reached('redis', one, async () => judgeRedis(await readRedisFacts(one, holdsQueue, withinMs)));
  const findings = await examine(url, isShared);
  if (isShared) return findings;
  const ofQueue = await examine(queueUrl, true);
  return [...findings, ...ofQueue.map((finding) => ({ ...finding, subject: `queue ${finding.subject}` }))];
}

async function reached(subject: string, url: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    return [unreached(subject, `${maskUrl(url)}: `, error)];
  }
}

/** The finding for a store that could not be checked. */
export function unreached(subject: string, where: string, error: unknown): Finding {
  const { message, remedy } = explainFailure(error);
  return failed(subject, `${where}${message}`, remedy ?? 'see that it runs, and that address and password are right');
}
