/** Checks Postgres and Redis at their addresses. An unreachable server is a finding, not an exception. */

import { explainFailure } from '@tandem/commands/failure';
import { type Finding, failed, type Subject } from '@tandem/commands/output/finding';
import { maskUrl } from '@tandem/config/environment/environment';
import { createPool } from '@tandem/offline-store/sql/database';
import { examineSchema } from './examine-schema.ts';
import { judgePostgres, readPostgresFacts } from './postgres.ts';
import { judgeRedis, readRedisFacts } from './redis.ts';

/**
 * Checks Postgres at an address.
 * @param now returns the ms since 1970 by this machine's clock
 */
export function examinePostgres(url: string, now: () => number): Promise<Finding[]> {
  const look = async () => {
    const pool = createPool({ url, max: 1, applicationName: 'tandem-doctor' });
    try {
      // Connects before the clocks are compared, so that the time of connecting does not count.
      await pool.query('select 1');
      const before = now();
      const facts = await readPostgresFacts(pool);
      return [...judgePostgres(facts, (before + now()) / 2), await examineSchema(pool)];
    } finally {
      await pool.end();
    }
  };
  return attempt('postgres', look, url);
}

/**
 * Checks each Redis at its address.
 * @param queueUrl the address of the queue's Redis, which may be a separate server with other requirements
 * @param withinMs the time limit for connecting to a server
 */
export async function examineRedis(url: string, queueUrl: string, withinMs?: number): Promise<Finding[]> {
  const isShared = queueUrl === url;
  const examine = (one: string, holdsQueue: boolean) =>
    attempt('redis', async () => judgeRedis(await readRedisFacts(one, holdsQueue, withinMs)), one);
  const findings = await examine(url, isShared);
  if (isShared) return findings;
  const ofQueue = await examine(queueUrl, true);
  return [...findings, ...ofQueue.map((finding) => ({ ...finding, subject: `queue ${finding.subject}` }))];
}

/**
 * Returns the findings of the work. If it fails, returns the finding that says why.
 * @param url the address, which the finding names without its password
 */
export async function attempt(subject: Subject, work: () => Promise<Finding[]>, url?: string): Promise<Finding[]> {
  try {
    return await work();
  } catch (error) {
    const { message, remedy } = explainFailure(error);
    const text = url === undefined ? message : `${maskUrl(url)}: ${message}`;
    return [failed(subject, text, remedy ?? 'check that it runs and that the address and the password are right')];
  }
}
