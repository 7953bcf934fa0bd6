/** What assignment.ts knows of the world, and the rules that may be broken in it. */

export interface AssignmentRules {
  /** Who says which generation is in force: Postgres, or (N11) a pointer in Redis. */
  readonly pointer: 'postgres' | 'redis';
  /** Whether a rollback raises the floor below which entries of the overlay do not fit any more. */
  readonly floor: 'raised' | 'left';
  /** Whether a run that was asked for before a rollback may put its generation in force after it. */
  readonly publishes: 'not past a rollback' | 'always';
}

export interface AssignmentScope {
  readonly events: number;
  /** Runs of everybody, one after the other: each makes a generation. */
  readonly runs: number;
  readonly partialRuns: number;
  readonly rollbacks: number;
  /** How often another model version is adopted: the other of two. */
  readonly adoptions: number;
  readonly readers: number;
  /** How often Redis loses everything. */
  readonly flushes: number;
}

/** What was computed, for which model version, and how many rollbacks there had been when it was asked for. */
export interface Prediction {
  readonly label: number;
  readonly model: number;
  readonly asked: number;
}

export interface Entry extends Prediction {
  readonly floor: number;
}

export interface Arm {
  model: number;
  /** 0: none. */
  generation: number;
  floor: number;
  revision: number;
}

export interface Generation {
  model: number;
  is: 'building' | 'scored' | 'published' | 'dropped';
  /** The floor when its run was asked for. */
  floor: number;
  asked: number;
  row: Prediction | null;
}

export interface PartialRun {
  is: 'idle' | 'asked' | 'scored' | 'committed';
  model: number;
  floor: number;
  entry: Entry | null;
}

export interface AssignmentReader {
  is: 'away' | 'asking' | 'answered';
  due: { version: number; revision: number; rollbacks: number };
  told: (Arm & { version: number }) | null;
  /** What it found in Redis before it was certified, where it was as quick. */
  early: AssignmentState['redis'] | null;
}

export interface AssignmentState {
  postgres: { version: number; arm: Arm; generations: Generation[]; entries: (Entry | null)[]; rollbacks: number };
  redis: { rows: (Prediction | null)[]; overlay: Entry | null; pointer: Arm };
  memory: { generation: number; row: Prediction } | null;
  partial: PartialRun;
  flight: Entry | null;
  readers: AssignmentReader[];
  left: { events: number; runs: number; partialRuns: number; rollbacks: number; adoptions: number; flushes: number };
  broken: string | null;
}
