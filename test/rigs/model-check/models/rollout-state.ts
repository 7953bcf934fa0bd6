/** The state of rollout.ts, and the rules that a control may break. */

export interface RolloutRules {
  /** The source of the user's arm for a read: its certificate, or (R1) an earlier certificate of the process. */
  readonly assignment: 'certificate' | 'kept by the process';
  /** Which entries of the overlay fit: those of the arm's model version and floor, or (R2) those of any arm. */
  readonly overlay: 'its model version and floor' | 'any arm';
  /** Whether the user's bucket is fixed for the whole rollout, or (R3) drawn again at each step. */
  readonly bucket: 'for as long as it lasts' | 'drawn again at each step';
  /** The overlay floor of a rollout's arm. */
  readonly floor: 'above all that there were' | "the stable arm's";
  /** The arm in which a run publishes its generation. */
  readonly publishes: 'in the arm of its version and floor' | 'in the stable arm';
}

export interface RolloutScope {
  readonly events: number;
  /** The number of rollouts, one after the other, each to the version that is not stable. */
  readonly rollouts: number;
  /** The number of runs of all users, of any arm, one after the other. */
  readonly runs: number;
  readonly readers: number;
}

/** A prediction: its label, its model version, and the number of rollouts aborted before it (`asked`). */
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
}

export interface Generation {
  model: number;
  is: 'building' | 'scored' | 'published';
  /** The floor of the arm when its run was requested. */
  floor: number;
  row: Prediction | null;
}

/** A certificate: the user's arm, and the context version. */
export interface Told extends Arm {
  readonly isCandidate: boolean;
  readonly version: number;
}

export interface Reader {
  is: 'away' | 'asking' | 'answered';
  /** Facts at the arrival of the read. `rollout`: the active rollout; `wasInArm`: reset when that rollout ends. */
  due: { version: number; takenBack: number; rollout: number | null; wasInArm: boolean };
  /** For each model version, whether the user was assigned to it at some moment since the read arrived. */
  assigned: [boolean, boolean, boolean];
  told: Told | null;
  /** The data found in Redis before the certificate, or null if Redis has not answered yet. */
  early: RolloutState['redis'] | null;
}

export interface RolloutState {
  postgres: {
    version: number;
    stable: Arm;
    candidate: Arm | null;
    /** 0: no user is in the candidate arm; 1: other users are; 2: the user is too; 3: more users are. */
    step: number;
    generations: Generation[];
    /** The latest entry of each model version. */
    entries: (Entry | null)[];
    /** The highest floor that there ever was. */
    highestFloor: number;
    takenBack: number;
  };
  redis: { rows: (Prediction | null)[]; overlay: Entry | null };
  memory: { generation: number; row: Prediction } | null;
  /** The user's arm in the last certificate of the process. */
  kept: Told | null;
  flight: Entry | null;
  readers: Reader[];
  /** Whether the user was served from the candidate arm since the rollout began. */
  wasInArm: boolean;
  left: { events: number; rollouts: number; runs: number };
  broken: string | null;
}
