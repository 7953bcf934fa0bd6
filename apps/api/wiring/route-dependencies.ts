/** The dependencies of all routes, which apps/api/dependencies.ts builds. Each route takes those that it uses. */
import type { Reading } from '@tandem/embedded/open-reading';
import type { LiveFailureLog } from '@tandem/endpoints/live-failure-log';
import type { ApiHost, RoutesPart } from '@tandem/extension/extension';
import type { StoredPredictions } from '@tandem/freshness/stored-prediction';
import type { KeyType } from '@tandem/freshness/user-id';
import type { Infer } from '@tandem/inference/live/infer-request';
import type { ExplanationKeeper } from '@tandem/prediction/explanations/explanation-keeper';
import type { Metrics } from '@tandem/telemetry/metrics';
import type { openExplanations } from './open-explanations.ts';
import type { openModels } from './open-models.ts';
import type { openRuns } from './open-runs.ts';
import type { openUsers, openWriting } from './open-writing.ts';
import type { ReadinessChecker } from './readiness.ts';

type OfReads = Pick<Reading, 'registry' | 'authority' | 'offline' | 'readPrediction' | 'onAnswer'>;

/** Functions that routes and extensions share. */
type SharedCalls = Pick<ApiHost, 'answerMany' | 'hintRun' | 'requireKnown'>;

/** Dependencies without the functions that are made of them. */
export type OpenedDependencies<D extends RouteDependencies = RouteDependencies> = Omit<D, keyof SharedCalls>;

export interface RouteDependencies
  extends OfReads,
    SharedCalls,
    ReturnType<typeof openRuns>,
    ReturnType<typeof openModels>,
    ReturnType<typeof openExplanations>,
    ReturnType<typeof openUsers>,
    ReturnType<typeof openWriting> {
  readonly extensions: readonly RoutesPart[];
  readonly online: StoredPredictions;
  readonly infer: Infer;
  readonly liveFailureLog: LiveFailureLog;
  readonly explanationKeeper: ExplanationKeeper;
  /** Returns the key type of the service; null until a first config is adopted. */
  keyType(): Promise<KeyType | null>;
  readonly readiness: ReadinessChecker;
  readonly metrics: Metrics;
  /** Whether this port serves /metrics, as it does only on loopback. */
  readonly servesMetrics: boolean;
}
