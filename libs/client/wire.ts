/** The types of the wire, under the names that applications use. `wire-types.ts` has the generated types. */
import type {
  BuildComparison,
  Event,
  Explanation,
  GenerationReport,
  KeptExplanation,
  Prediction,
  Push,
  Run as RunWithoutFailures,
  SegmentValue,
  ShowRunAnswer,
  StartRun,
} from './wire-types.ts';

export type * from '@tandem/rollouts/client';
export type * from './wire-types.ts';
export type {
  Artifact as ArtifactView,
  BuildComparisonRequest as ComparisonInput,
  Generation as GenerationView,
  GenerationCoverage as CoverageView,
  GenerationReport as GenerationReportView,
  ListAuditAnswer as AuditPage,
  ListKeptExplanationsAnswer as KeptPage,
  ListRunsAnswer as RunPage,
  Model as ModelView,
  OutputShift as OutputShiftView,
  ParityCertificate as ParityView,
  Prediction as PredictionAnswer,
  Predictor as PredictorView,
  Process as ProcessView,
  RollBackAnswer as Rollback,
  SegmentValue as SegmentValueView,
  StableVersion as StableVersionView,
  StartRun as RunRequest,
  User as UserView,
} from './wire-types.ts';

// Parts of answers with a name.

export type PredictionValue = Prediction['prediction'][string];
/** The origin of an answer: stored by a run; inferred live; not known to be fresh; the declared default. */
export type Source = Prediction['source'];
export type StoreStates = Explanation['stores'];
export type ExplainedFeature = Explanation['features'][number];
export type KeptInputs = NonNullable<KeptExplanation['inputs']>;
export type KeptFeature = KeptInputs['features'][number];
export type ComparedPace = BuildComparison['pace']['alone'];
export type FlipsView = NonNullable<SegmentValue['flips']>;
export type ReportFiguresView = NonNullable<GenerationReport['figures']>;
export type RunScope = StartRun['scope'];
export type RunState = RunWithoutFailures['state'];

/** A run. Only the call for a single run returns the users that could not be scored. */
export type Run = RunWithoutFailures & Partial<Pick<ShowRunAnswer, 'failures'>>;

export function isFinished(state: RunState): boolean {
  return state === 'done' || state === 'done_with_errors' || state === 'failed' || state === 'cancelled';
}

// The inputs of the client, which adds omitted fields.

/** A CloudEvent as an application sends it; the client fills in omitted attributes. */
export interface EventInput extends Pick<Event, 'subject' | 'type' | 'time'>, Partial<Pick<Event, 'source' | 'id'>> {
  /** Feature values by name. Without them, the event only says that the user changed. */
  readonly data?: Readonly<Record<string, unknown>>;
}

export type { OutcomeInput } from '@tandem/outcomes/client';

/**
 * The changed settings of a version, named as in a config. Omitted settings are taken from the stable version, or from
 * a build's parent.
 */
export type PushInput = Omit<Push, 'artifact'>;
