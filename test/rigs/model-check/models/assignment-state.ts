/** The state of assignment.ts, and the rules that a control may break. */

export interface AssignmentRules {
  /** Where readers learn the current generation: from Postgres, or (N11) from a pointer in Redis. */
  readonly pointer: 'postgres' | 'redis';
  /** Whether a rollback raises the floor, below which entries of the overlay no longer fit. */
  readonly floor: 'raised' | 'left';
  /** Whether a run that was requested before a rollback may publish its generation after it. */
  readonly publishes: 'not past a rollback' | 'always';
}

export interface AssignmentScope {
  readonly events: number;
  /** The number of runs of all users, one after the other. Each makes a generation. */
  readonly runs: number;
  readonly partialRuns: number;
  readonly rollbacks: number;
  /** How often the other of two model versions is adopted. */
  readonly adoptions: number;
  readonly readers: number;
  /** How often Redis loses all data. */
  readonly flushes: number;
}

/** A prediction: its label, its model version, and the number of rollbacks before its request (`asked`). */
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
  /** The current generation, or 0 for none. */
  generation: number;
  floor: number;
  revision: number;
}

export interface Generation {
  model: number;
  is: 'building' | 'scored' | 'published' | 'dropped';
  /** The floor when its run was requested. */
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
  /** The data found in Redis before the certificate, or null if Redis has not answered yet. */
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
