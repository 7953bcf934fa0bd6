/** What API and worker read of their watchdogs. */
import type { Section } from './environment.ts';

/**
 * `WATCHDOG_MS` (60,000): a process whose event loop stands still for so long, or a worker that takes no job for so long
 * while some wait and it has room, ends, to be started again.
 */
export const watchdogMs: Section<number> = (read) =>
  // BullMQ blocks for 5 s for a job, and a connection that is silent is given up after 15: what heals may do so.
  read.whole('WATCHDOG_MS', { least: 10_000, most: 3_600_000, instead: 60_000 });
