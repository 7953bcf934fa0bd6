/**
 * Counts the commands that the housekeeping of four idle workers sends to Redis in a minute, with an almost empty Redis
 * and with a million keys. Then makes the daily scan for lost keys due, and counts its steps per second.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createServerConnection } from '@tandem/online-store/connection';
import { type Figure, figureOf } from '../section.ts';
import { type BenchServers, startWorker } from '../service.ts';
import type { Law } from './law.ts';

const WORKERS = 4;
const KEYS = 1_000_000;
const KEYS_A_WRITE = 10_000;
/** A little longer than the longest pause between two rounds of housekeeping. */
const WINDOW_MS = 62_000;
const SCAN_MS = 10_000;

export const keyspace: Law = {
  name: 'keyspace',
  promise: 'housekeeping sends Redis equally many commands for any number of keys',
  async measure(servers, say) {
    const connection = createServerConnection({ url: servers.env.REDIS_URL, log: () => {}, commandTimeoutMs: 10_000 });
    try {
      await connection.whenReady(10_000);
      const { redis } = connection;
      const commands = async () =>
        Number(/total_commands_processed:(\d+)/.exec(await redis.info('stats'))?.[1] ?? Number.NaN);
      const scans = async () => Number(/cmdstat_scan:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
      const during = async (ms: number, count: () => Promise<number>) => {
        const before = await count();
        await delay(ms);
        return (await count()) - before;
      };
      for (let n = 0; n < WORKERS; n++) await startWorker(servers, { CHUNK_CONCURRENCY: '1' });
      await sweepIsDue(servers, '1 day');
      const few = await during(WINDOW_MS, commands);
      say(`${few} commands with few keys`);
      for (let n = 0; n < KEYS; n += KEYS_A_WRITE) await redis.mset(keysFrom(n));
      const many = await during(WINDOW_MS, commands);
      say(`${many} commands with ${KEYS} keys`);
      await sweepIsDue(servers, '0 s');
      // A worker checks whether the scan is due when it starts and then every ten minutes, so start another worker.
      await startWorker(servers, { CHUNK_CONCURRENCY: '1' });
      return figuresOf(few, many, await during(SCAN_MS, scans));
    } finally {
      connection.close();
    }
  },
};

function figuresOf(few: number, many: number, scans: number): readonly Figure[] {
  return [
    figureOf('commands a minute, 4 idle workers, 1 M keys', 'count', [many], { most: 5_000 }),
    figureOf('with 1 M keys / with few', 'ratio', [many / few], { most: 1.1 }),
    figureOf('steps a second of the daily scan', 'count', [(scans * 1_000) / SCAN_MS], { most: 55 }),
  ];
}

function keysFrom(first: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: KEYS_A_WRITE }, (_, i) => [`tandem:h:{${first + i}}`, 'x']));
}

async function sweepIsDue({ pool }: BenchServers, after: string): Promise<void> {
  await pool.query(
    `insert into tandem.turns (name, due_at) values ('lost_keys', clock_timestamp() + $1::interval)
      on conflict (name) do update set due_at = excluded.due_at`,
    [after],
  );
}
