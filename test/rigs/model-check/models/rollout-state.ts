/** What rollout.ts knows of the world, and the rules that may be broken in it. */

export interface RolloutRules {
  /** Who says what arm the user is in: each read's certificate, or (R1) what the process was told some time before. */
  readonly assignment: 'certificate' | 'kept by the process';
  /** What an entry of the overlay must be of to fit: (R2) or nothing of all that. */
  readonly overlay: 'its model version and floor' | 'any arm';
  /** (R3) Whether the user keeps a place in the rollout for as long as it lasts. */
  readonly bucket: 'for as long as it lasts' | 'anew at each step';
  /** The overlay floor of a rollout's arm. */
  readonly floor: 'above all that there were' | "the stable arm's";
  /** Where a run puts its generation in force. */
  readonly publishes: 'in the arm of its version and floor' | 'in the stable arm';
}

export interface RolloutScope {
  readonly events: number;
  /** Rollouts, one after the other, each of the version that is not the stable one. */
  readonly rollouts: number;
  /** Runs of everybody, of whatever arm, one after the other. */
  readonly runs: number;
  readonly readers: number;
}

/** What was computed: of which context, by which model version, and how many rollouts had been taken back by then. */
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
}

export interface Generation {
  model: number;
  is: 'building' | 'scored' | 'published';
  /** Of the arm, when its run was asked for. */
  floor: number;
  row: Prediction | null;
}

/** What a reader was told: the user's arm, and the context version. */
export interface Told extends Arm {
  readonly isCandidate: boolean;
  readonly version: number;
}

export interface Reader {
  is: 'away' | 'asking' | 'answered';
  /** What was so when it arrived. `rollout`: which one was under way; `wasInArm`: and the rollout is still under way. */
  due: { version: number; takenBack: number; rollout: number | null; wasInArm: boolean };
  /** The model versions that the user was assigned at some moment since it arrived, by number. */
  assigned: [boolean, boolean, boolean];
  told: Told | null;
  /** What it found in Redis before it was certified, where it was as quick. */
  early: RolloutState['redis'] | null;
}

export interface RolloutState {
  postgres: {
    version: number;
    stable: Arm;
    candidate: Arm | null;
    /** 0: nobody is in the candidate arm yet; 1: others are; 2: the user is; 3: some more are. */
    step: number;
    generations: Generation[];
    /** Of each model version the latest. */
    entries: (Entry | null)[];
    /** The highest floor that there ever was. */
    highestFloor: number;
    takenBack: number;
  };
  redis: { rows: (Prediction | null)[]; overlay: Entry | null };
  memory: { generation: number; row: Prediction } | null;
  /** What the process was told last of the user's arm. */
  kept: Told | null;
  flight: Entry | null;
  readers: Reader[];
  /** Whether the user was served from the candidate arm since the rollout began. */
  wasInArm: boolean;
  left: { events: number; rollouts: number; runs: number };
  broken: string | null;
}
