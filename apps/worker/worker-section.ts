/** Environment variables of the worker alone. */
import type { Section } from '@tandem/config/environment/environment';

export interface WorkerProcessSection {
  readonly host: string;
  /** The port of `/livez` and `/metrics`; null: none; 0: any free port. */
  readonly port: number | null;
  /**
   * Lease of a chunk, and of the planning and the publication of a run: without a renewal it ends after this many ms.
   * After a kill, another worker takes the work this much later.
   */
  readonly leaseMs: number;
  /** Memory of Redis for generations kept for a rollback, beside the current ones. */
  readonly rollbackCacheMb: number;
  /** The share of this worker's inference that re-scoring may take, 0 to 1; 0: it re-scores no user. */
  readonly refreshShare: number;
}

/** `WORKER_HOST` (127.0.0.1), `WORKER_PORT` (none), `CHUNK_LEASE_MS` (30,000), `ROLLBACK_CACHE_MB` (512), `REFRESH_SHARE` (0.25). */
export const workerProcess: Section<WorkerProcessSection> = (read) => ({
  host: read.host('WORKER_HOST', '127.0.0.1'),
  port: read.optionalWhole('WORKER_PORT', { least: 0, most: 65_535 }),
  leaseMs: read.whole('CHUNK_LEASE_MS', { least: 1_000, most: 600_000, instead: 30_000 }),
  rollbackCacheMb: read.whole('ROLLBACK_CACHE_MB', { least: 0, most: 1_000_000, instead: 512 }),
  refreshShare: read.share('REFRESH_SHARE', 0.25),
});
