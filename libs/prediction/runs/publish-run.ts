/**
 * Checks, compares and publishes a run's generation under the lease of that step, after all chunks are committed (B9).
 * It does not wait until Redis holds the rows: the reconciler loads missing rows. It reads the remembered mark from
 * Redis, since after an undetected restore Redis may hold rows of the lost past under this generation's id.
 */
import type { LossNotice } from '../events/notice-loss.ts';
import type { GenerationLoader } from './online-generations.ts';
import type { PublishOutcome, RunHints, RunStore } from './run-store.ts';
import { hintAtWaiting, type StepDependencies, type StepReport, type StepWork, workStep } from './work-step.ts';

export interface PublishRunDependencies extends StepDependencies {
  readonly runs: StepDependencies['runs'] & Pick<RunStore, 'publish' | 'claimable' | 'unfinished'>;
  readonly hints: RunHints;
  readonly loader: Pick<GenerationLoader, 'completeLoad'>;
  readonly losses: Pick<LossNotice, 'prove'>;
}

/** The report; `loaded` says whether the online store already holds the whole new generation. */
export type PublishedRun = PublishOutcome & { readonly loaded: boolean };

const LIMITS = { maxAttempts: 5 };

/**
 * Publishes a run.
 * @param onProgress called after each renewal of the lease
 */
export async function publishRun(
  dependencies: PublishRunDependencies,
  runId: string,
  onProgress: () => void = () => {},
): Promise<StepReport<PublishedRun>> {
  const { runs, loader, losses } = dependencies;
  const options = { ...LIMITS, onProgress };
  const publish: StepWork<PublishOutcome> = (claimed, lost) => runs.publish(claimed, lost, losses.prove);
  const report = await workStep(dependencies, runId, 'publish', options, publish);
  if (report.outcome !== 'nothing_to_do') await hintAtWaiting(dependencies, report.predictor, 'publishing');
  if (report.outcome !== 'done') return report;
  const { generation } = report.result;
  const loaded = generation !== null && (await loader.completeLoad(generation, generation.users).catch(() => false));
  return { ...report, result: { ...report.result, loaded } };
}
