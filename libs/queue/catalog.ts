/**
 * The catalog of all jobs: the payload (only ids, since the rows in Postgres are the truth), the attempts and the
 * class. A job is a hint: a lost job is enqueued again, and a superfluous job has nothing to do.
 */
import { z } from 'zod';

/**
 * The classes of jobs. Jobs of one class wait in one queue, and share the concurrency that a worker gives to the class.
 */
export const jobClasses = ['planning', 'publishing', 'scoring', 'loading'] as const;
export type JobClass = (typeof jobClasses)[number];

interface JobDefinition<P> {
  readonly payload: z.ZodType<P>;
  readonly class: JobClass;
  /**
   * Returns the deduplication key. While a job with the same key waits or runs, no other is added. It uses the alphabet
   * of BullMQ's ids: no colon, not only digits.
   */
  key(payload: P): string;
  /** The number of attempts before the job fails. The reconciler may then enqueue it again. */
  readonly attempts: number;
  /** Milliseconds before the second attempt. The pause doubles before each further attempt. */
  readonly backoffMs: number;
  /**
   * Milliseconds for which a key is reserved, even if its job runs longer, because its worker may have been killed
   * before it claimed the work. Null: until the job has ended. A number suits only jobs that Postgres knows to be due:
   * while a step of a run is claimed, no job is added for it, and a superfluous job ends at once.
   */
  readonly keyHeldMs: number | null;
  /** Returns the milliseconds to wait before the first attempt. */
  delayMs(payload: P): number;
}

const id = z.uuid();
const count = z.int().min(0);
const KEY_HELD_MS = 10_000;

function define<P>(
  definition: Pick<JobDefinition<P>, 'payload' | 'class' | 'key'> & Partial<JobDefinition<P>>,
): JobDefinition<P> {
  return { attempts: 5, backoffMs: 1_000, keyHeldMs: null, delayMs: () => 0, ...definition };
}

export const catalog = {
  'plan-run': define({
    payload: z.strictObject({ runId: id }),
    class: 'planning',
    key: ({ runId }) => `plan-${runId}`,
    keyHeldMs: KEY_HELD_MS,
  }),
  'run-chunk': define({
    payload: z.strictObject({ runId: id, no: count, fence: count }),
    class: 'scoring',
    // Each claim raises the fence, so the job after a failed or lost attempt has another key.
    key: ({ runId, no, fence }) => `chunk-${runId}-${no}-${fence}`,
    delayMs: ({ fence }) => retryDelayMs(fence),
  }),
  'publish-run': define({
    payload: z.strictObject({ runId: id }),
    class: 'publishing',
    key: ({ runId }) => `publish-${runId}`,
    keyHeldMs: KEY_HELD_MS,
  }),
  'load-generation': define({
    payload: z.strictObject({ generationId: id }),
    class: 'loading',
    key: ({ generationId }) => `load-${generationId}`,
    attempts: 3,
    backoffMs: 2_000,
  }),
} as const;

export type JobName = keyof typeof catalog;
export type JobPayload<N extends JobName> = z.infer<(typeof catalog)[N]['payload']>;

/** Returns the definition of a job whose name is known only at run time. */
export function definitionOf<N extends JobName>(name: N): JobDefinition<JobPayload<N>> {
  return catalog[name] as unknown as JobDefinition<JobPayload<N>>;
}

export function isJobName(name: string): name is JobName {
  return Object.hasOwn(catalog, name);
}

const LONGEST_RETRY_DELAY_MS = 30_000;

/** Returns the delay of a chunk after a failure or a dead worker. It grows with each claim: 1 s, 2 s, 4 s, … 30 s. */
function retryDelayMs(fence: number): number {
  return fence === 0 ? 0 : Math.min(1_000 * 2 ** Math.min(fence - 1, 10), LONGEST_RETRY_DELAY_MS);
}
