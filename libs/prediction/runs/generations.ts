/** Generations as ops see them. */
export type GenerationState = 'building' | 'published' | 'dropped';

export interface Generation {
  readonly id: string;
  readonly predictor: string;
  /** For people: 1, 2, 3, … of its predictor. */
  readonly number: number;
  readonly modelVersionId: string;
  readonly modelNumber: number;
  readonly runId: string;
  readonly state: GenerationState;
  readonly history: string;
  readonly buckets: number;
  /** No prediction in it is older, ms since 1970; of a budgeted run's, that is when its base was begun. */
  readonly startedAt: number;
  /** When its own run was planned, ms since 1970. */
  readonly plannedAt: number;
  readonly publishedAt: Date | null;
  /** Users who have a row of it. */
  readonly users: number;
  /** Of a budgeted run's: the generation of everyone whose rows still count for the other users. */
  readonly baseId: string | null;
  readonly baseNumber: number | null;
  /** Users whose row is the base's, when it was published; null before that, and without a base. */
  readonly usersLeft: number | null;
  /** Whether an arm points at it; not at the one above it, where it is a base. */
  readonly inForce: boolean;
  /** Whether the stable arm ever served its model version; false for a version that a rollout tried and rolled back. */
  readonly wasStable: boolean;
  /** Whether the stable arm ever served this generation itself. */
  readonly servedStable: boolean;
}
