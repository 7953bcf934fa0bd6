/** The types of the lines in results.ndjson, which records the results of runs. */
import type { Violation } from './checker/violations.ts';
import type { ControlResult } from './try-controls.ts';
import type { FaultResult } from './try-faults.ts';

/** The fields that each run has. */
export interface RunHead {
  /** The time when the run ended, UTC. */
  readonly at: string;
  /** The commit that was tested; `changed` means with uncommitted changes. */
  readonly commit: string;
  readonly machine: string;
  /** The one-minute load average of the machine at the end of the run, which shows other work. */
  readonly loadAverage: number;
  readonly seed: number;
  readonly seconds: number;
}

export interface FaultRun extends RunHead {
  /** The arguments of the command. */
  readonly how: string;
  readonly answers: number;
  readonly fresh: number;
  readonly freshReads: number;
  readonly freshOfChanged: number;
  readonly acknowledged: number;
  readonly duplicates: number;
  readonly runs: number;
  /** Acknowledged changes of rollouts, and fresh answers of arms beside the stable one; absent if no rollout moved. */
  readonly moves?: number;
  readonly ofOtherArms?: number;
  /** Maps kinds of work of the deployment to counts; absent if they were not counted. */
  readonly work?: Readonly<Record<string, number>>;
  /** Maps kinds of calls to the slowest call, in ms. */
  readonly slowest: Readonly<Record<string, number>>;
  /** Maps rules to counts of violations. */
  readonly violations: Readonly<Record<string, number>>;
  /** One violation of each rule. */
  readonly examples: readonly Pick<Violation, 'rule' | 'why'>[];
  readonly failed: readonly string[];
  /** A finding about the run, written by hand. */
  readonly note?: string;
  readonly faults: readonly FaultResult[];
}

export interface ControlRun extends RunHead {
  readonly control: ControlResult;
}

export interface Results {
  readonly faultRuns: readonly FaultRun[];
  /** The newest run of each control. */
  readonly controls: readonly ControlRun[];
}
