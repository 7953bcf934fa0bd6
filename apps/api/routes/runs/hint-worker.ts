/** Tells a worker of a run, within a budget: the run is in Postgres already, so an answer never waits long for Redis. */
import type { WideEvent } from '@tandem/telemetry/wide-event';
import type { RunDependencies } from './run-dependencies.ts';

const BUDGET_MS = 250;

export async function hintWorker(
  { enqueuePlan }: Pick<RunDependencies, 'enqueuePlan'>,
  runId: string,
  event: WideEvent,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the queue did not answer in time')), BUDGET_MS);
  });
  try {
    await Promise.race([enqueuePlan(runId), late]);
  } catch (error) {
    event.add({ hintFailed: error });
  } finally {
    clearTimeout(timer);
  }
}
