/** What is kept of runs, as results.ndjson has it. */
import type { Violation } from './checker/violations.ts';
import type { ControlResult } from './try-controls.ts';
import type { FaultResult } from './try-faults.ts';

/** Of each run. */
export interface RunHead {
  /** UTC, when it ended. */
  readonly at: string;
  /** The commit that it was done on; `changed`: with changes that were not committed. */
  readonly commit: string;
  readonly machine: string;
  /** Of the machine when it ended, one minute's: how much else it had to do. */
  readonly loadAverage: number;
  readonly seed: number;
  readonly seconds: number;
}

export interface FaultRun extends RunHead {
  /** As it was called. */
  readonly how: string;
  readonly answers: number;
  readonly fresh: number;
  readonly freshReads: number;
  readonly freshOfChanged: number;
  readonly acknowledged: number;
  readonly duplicates: number;
  readonly runs: number;
  /** Changes of rollouts that were acknowledged, and fresh answers of arms beside the stable one; absent: none was moved. */
  readonly moves?: number;
  readonly ofOtherArms?: number;
  /** What the deployment did → how often; absent: it was not counted. */
  readonly work?: Readonly<Record<string, number>>;
  /** Kind → the slowest call, in ms. */
  readonly slowest: Readonly<Record<string, number>>;
  /** Rule → how often. */
  readonly violations: Readonly<Record<string, number>>;
  /** One of each rule. */
  readonly examples: readonly Pick<Violation, 'rule' | 'why'>[];
  readonly failed: readonly string[];
  /** What an examination of it came to; written by hand. */
  readonly note?: string;
  readonly faults: readonly FaultResult[];
}

export interface ControlRun extends RunHead {
  readonly control: ControlResult;
}

export interface Results {
  readonly faultRuns: readonly FaultRun[];
  /** The newest of each control. */
  readonly controls: readonly ControlRun[];
}
