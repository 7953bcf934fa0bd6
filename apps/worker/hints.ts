/** Hints as jobs. The queue reports a failure to its log; whoever hints goes on, and the reconciler hints again. */
import type { RunHints } from '@tandem/prediction/run-hints';
import type { Queue } from '@tandem/queue/enqueue';

export function createRunHints(queue: Pick<Queue, 'enqueue'>): RunHints {
  return {
    plan: async (runId) => void (await queue.enqueue('plan-run', { runId })),
    chunks: async (refs) => void (await queue.enqueue('run-chunk', ...refs)),
    publish: async (runId) => void (await queue.enqueue('publish-run', { runId })),
    load: async (generationId) => void (await queue.enqueue('load-generation', { generationId })),
  };
}
