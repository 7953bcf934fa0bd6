/** Ports of the shadow beside its store: who infers for it, and who is told what it does. */

import type { ModelVersion } from '@tandem/freshness/predictor';
import type { Scorer } from '../scoring/scoring.ts';
import type { ShadowOutcome } from './shadow-counts.ts';

/** The scorer of shadows alone. */
export interface ShadowScorer extends Scorer {
  /** Resolves when a process has the model: its start and the loading are no run's time. Rejects with `unavailable`. */
  ready(version: ModelVersion): Promise<void>;
  /** Told what each run took, in ms of wall and processor, and of each process that ended. */
  observe(observer: ShadowScorerObserver): void;
  /** Ends its processes until it is asked again. */
  rest(): Promise<void>;
}

export interface ShadowScorerObserver {
  ran(users: number, ms: number, cpuMs: number): void;
  ended(): void;
}

/** For metrics and the log. */
export interface ShadowObserver {
  counted(predictor: string, outcome: ShadowOutcome, answers: number): void;
  /** A pass that read features and inferred; `cpuMs` of the model alone. */
  passed(predictor: string, ms: number, cpuMs: number): void;
  processEnded(predictor: string): void;
  began(predictor: string, rolloutId: string): void;
  /** With what became of this process's answers. */
  ended(predictor: string, rolloutId: string, outcomes: Readonly<Record<string, number>>): void;
  notKept(rolloutId: string, error: unknown): void;
}
