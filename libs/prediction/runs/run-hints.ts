/**
 * Port to the queue. A hint says that somewhere in Postgres there may be something to do; it carries ids alone, may be
 * lost or come twice, and decides nothing: reconcile.ts hints again at whatever is not done.
 */
import type { ChunkRef } from './run-store.ts';

export interface RunHints {
  /** Hints return in bounded time and never reject: a queue that is down costs the reconciler's next round, no more. */
  plan(runId: string): Promise<void>;
  chunks(refs: readonly ChunkRef[]): Promise<void>;
  publish(runId: string): Promise<void>;
  /** Fill the online store with a generation again. */
  load(generationId: string): Promise<void>;
}
