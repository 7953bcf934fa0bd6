/** What a read knows once Postgres has spoken: the facts that answer.ts and ladder.ts decide from. */
import type { AssignedRollout, Assignment, Certificate, UserState } from './certificate.ts';
import type { LiveOutcome } from './live-predictor.ts';
import type { ModelVersion, Predictor } from './predictor.ts';
import type { ReadOptions } from './read-options.ts';
import type { ReadTimes } from './read-times.ts';
import type { StoredPrediction } from './stored-prediction.ts';

export interface CertifiedRead {
  readonly predictor: Predictor;
  readonly version: ModelVersion;
  /** The arm that its users have in common. */
  readonly assignment: Assignment;
  /** The rollout under way, if there is one. */
  readonly rollout: AssignedRollout | null;
  readonly certificate: Certificate;
  readonly options: ReadOptions;
  /** By user, what became of an inference that this read has had and that gave nothing. */
  readonly inferred?: ReadonlyMap<string, LiveOutcome> | undefined;
  /** Told where the time goes. */
  readonly times?: ReadTimes;
}

/** What is known of one user while a read decides. */
export interface Standing {
  readonly userId: string;
  readonly user: UserState;
  readonly candidates: readonly StoredPrediction[];
}
