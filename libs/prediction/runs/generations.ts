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
  /** Base of its predictions' times, ms since 1970. */
  readonly startedAt: number;
  readonly publishedAt: Date | null;
  readonly users: number;
  /** Whether an arm points at it. */
  readonly inForce: boolean;
  /** Whether the stable arm ever served its model version; false for a version that a rollout tried and rolled back. */
  readonly wasStable: boolean;
  /** Whether the stable arm ever served this generation itself. */
  readonly servedStable: boolean;
}
