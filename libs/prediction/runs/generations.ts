/** Generations as operators see them. */
export type GenerationState = 'building' | 'published' | 'dropped';

export interface Generation {
  readonly id: string;
  readonly predictor: string;
  /** The number for people: 1, 2, 3, … within its predictor. */
  readonly number: number;
  readonly modelVersionId: string;
  readonly modelNumber: number;
  readonly runId: string;
  readonly state: GenerationState;
  readonly history: string;
  readonly buckets: number;
  /** A lower bound of its predictions' times, in ms since 1970; for a budgeted run, the start of its base. */
  readonly startedAt: number;
  /** The time at which its own run was planned, in ms since 1970. */
  readonly plannedAt: number;
  readonly publishedAt: Date | null;
  /** The number of users with a row in it. */
  readonly users: number;
  /** For a budgeted run: the full generation whose rows serve the other users. */
  readonly baseId: string | null;
  readonly baseNumber: number | null;
  /** Users served by the base, counted at publication; null before that, or without a base. */
  readonly usersLeft: number | null;
  /** Whether an arm is assigned this generation. For a base this is true only if an arm is assigned the base itself. */
  readonly inForce: boolean;
  /** Whether the stable arm ever served its model version; false for a version that a rollout tried and rolled back. */
  readonly wasStable: boolean;
  /** Whether the stable arm ever served this generation itself. */
  readonly servedStable: boolean;
}
