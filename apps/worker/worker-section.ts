/** Environment variables that only the worker has. */
import type { VariableReader } from '@tandem/config/environment/environment';

/**
 * Reads `WORKER_HOST` (127.0.0.1), `WORKER_PORT` (none), `CHUNK_LEASE_MS` (30,000), `ROLLBACK_CACHE_MB` (512) and
 * `REFRESH_SHARE` (0.25).
 */
export const workerProcess = (read: VariableReader) => ({
  host: read.host('WORKER_HOST', '127.0.0.1'),
  /** The port of `/livez` and `/metrics`. null: no port; 0: any free port. */
  port: read.optionalWhole('WORKER_PORT', { least: 0, most: 65_535 }),
  /**
   * Milliseconds until the lease of a chunk, a plan or a publication expires without a renewal. After a worker is
   * killed, another worker takes over its work after this time.
   */
  leaseMs: read.whole('CHUNK_LEASE_MS', { least: 1_000, most: 600_000, instead: 30_000 }),
  /** Redis memory for generations that are kept for a rollback, in addition to the current ones. */
  rollbackCacheMb: read.whole('ROLLBACK_CACHE_MB', { least: 0, most: 1_000_000, instead: 512 }),
  /** The share of this worker's inference that re-scoring may use, from 0 to 1. 0: re-scoring is off. */
  refreshShare: read.share('REFRESH_SHARE', 0.25),
});
export type WorkerProcessSection = ReturnType<typeof workerProcess>;
