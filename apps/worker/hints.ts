/** Enqueues hints as jobs. The queue logs a failure; the caller continues, and the reconciler hints again. */
import type { RunHints } from '@tandem/prediction/runs/run-store';
import type { Queue } from '@tandem/queue/enqueue';

type HintQueue = Pick<Queue, 'enqueue' | 'enqueueAnew' | 'counts'>;

export function createRunHints(queue: HintQueue): RunHints {
  return {
    plan: async (runId) => void (await queue.enqueue('plan-run', { runId })),
    async chunks(refs) {
      // No job waits, but these chunks can be claimed. So no worker has them, and any active jobs for them belonged to
      // workers that died.
      const isIdle = await isScoringIdle(queue);
      await (isIdle ? queue.enqueueAnew('run-chunk', ...refs) : queue.enqueue('run-chunk', ...refs));
    },
    publish: async (runId) => void (await queue.enqueue('publish-run', { runId })),
    load: async (generationId) => void (await queue.enqueue('load-generation', { generationId })),
  };
}

async function isScoringIdle(queue: HintQueue): Promise<boolean> {
  const counts = await queue.counts().catch(() => null);
  return counts !== null && counts.scoring.waiting === 0 && counts.scoring.delayed === 0;
}
