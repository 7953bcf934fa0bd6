/** The dependencies of the rollout endpoints. */
import type { RolloutStore } from '@tandem/prediction/rollouts/rollout-store';
import type { RunDependencies } from '../runs/run-dependencies.ts';

export interface RolloutDependencies extends Pick<RunDependencies, 'runs' | 'registry' | 'enqueuePlan'> {
  readonly rollouts: RolloutStore;
}
