import type { ModelVersion } from '@tandem/freshness/predictor';
import type { Scorer } from './scoring.ts';

/** A scorer for work that no read waits for. Its process exists only while there is work. */
export interface IdleScorer extends Scorer {
  /**
   * Resolves when a process has loaded the model, so that start and load do not count as a run's time. Rejects with
   * `unavailable`.
   */
  ready(version: ModelVersion): Promise<void>;
  /** Receives the cost of each run, in ms of elapsed and processor time, and each process that ended. */
  observe(observer: IdleScorerObserver): void;
  /** Ends its processes until the next run. */
  rest(): Promise<void>;
}

export interface IdleScorerObserver {
  ran(users: number, ms: number, cpuMs: number): void;
  ended(): void;
}
