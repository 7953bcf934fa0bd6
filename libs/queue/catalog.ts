/**
 * Every job there is: its payload (ids alone; the rows in Postgres are the truth), how often it is tried, and which
 * jobs it shares workers with. A job is a hint: a lost one is enqueued again, one too many finds nothing to do.
 */
import { z } from 'zod';

/** Jobs of one class wait in one queue and share the concurrency that a worker gives to it. */
export const jobClasses = ['planning', 'publishing', 'scoring', 'loading'] as const;
export type JobClass = (typeof jobClasses)[number];

interface JobDefinition<P> {
  readonly payload: z.ZodType<P>;
  readonly class: JobClass;
  /**
   * The deduplication key: while a job of the same key waits or runs, another is not added. It uses the alphabet of
   * BullMQ's ids: no colon, not only digits.
   */
  key(payload: P): string;
  /** Attempts before the job fails; the reconciler may then enqueue it again. */
  readonly attempts: number;
  /** Ms before the second attempt, twice that before the third, … */
  readonly backoffMs: number;
  /**
   * Null: a key is free again when its job has ended. Ms: it is free after that time, even while its job runs, since its
   * worker may have been killed before it claimed anything. For jobs that Postgres says are due, or not: while a step of a
   * run is claimed nothing hints at it, and a job too many ends at once.
   */
  readonly keyHeldMs: number | null;
  /** Ms to wait before the first attempt. */
  delayMs(payload: P): number;
}

const id = z.uuid();
const count = z.int().min(0);
const KEY_HELD_MS = 10_000;

function define<P>(definition: JobDefinition<P>): JobDefinition<P> {
  return definition;
}

export const catalog = {
  'plan-run': define({
    payload: z.strictObject({ runId: id }),
    class: 'planning',
    key: ({ runId }) => `plan-${runId}`,
    attempts: 5,
    backoffMs: 1_000,
    keyHeldMs: KEY_HELD_MS,
    delayMs: () => 0,
  }),
  'run-chunk': define({
    payload: z.strictObject({ runId: id, no: count, fence: count }),
    class: 'scoring',
    // Each claim raises the fence, so the hint after a failed or lost attempt is another one.
    key: ({ runId, no, fence }) => `chunk-${runId}-${no}-${fence}`,
    attempts: 5,
    backoffMs: 1_000,
    keyHeldMs: null,
    delayMs: ({ fence }) => retryDelayMs(fence),
  }),
  'publish-run': define({
    payload: z.strictObject({ runId: id }),
    class: 'publishing',
    key: ({ runId }) => `publish-${runId}`,
    attempts: 5,
    backoffMs: 1_000,
    keyHeldMs: KEY_HELD_MS,
    delayMs: () => 0,
  }),
  'load-generation': define({
    payload: z.strictObject({ generationId: id }),
    class: 'loading',
    key: ({ generationId }) => `load-${generationId}`,
    attempts: 3,
    backoffMs: 2_000,
    keyHeldMs: null,
    delayMs: () => 0,
  }),
} as const;

export type JobName = keyof typeof catalog;
export type JobPayload<N extends JobName> = z.infer<(typeof catalog)[N]['payload']>;

/** The definition of a job by a name that is only known at run time. */
export function definitionOf<N extends JobName>(name: N): JobDefinition<JobPayload<N>> {
  return catalog[name] as unknown as JobDefinition<JobPayload<N>>;
}

export function isJobName(name: string): name is JobName {
  return Object.hasOwn(catalog, name);
}

const LONGEST_RETRY_DELAY_MS = 30_000;

/** A chunk that failed, or whose worker died, waits longer with each claim: 1 s, 2 s, 4 s, … 30 s. */
function retryDelayMs(fence: number): number {
  return fence === 0 ? 0 : Math.min(1_000 * 2 ** Math.min(fence - 1, 10), LONGEST_RETRY_DELAY_MS);
}
