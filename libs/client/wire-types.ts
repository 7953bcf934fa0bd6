/**
 * The types of the wire that the client uses, derived from the schemas. A published package has no Zod: it carries the
 * same types, written out by `scripts/packages/client-types.ts`.
 */

import type { Answered, Sent } from '@tandem/transport/wire-types';
import type { ArtifactSchema } from '@tandem/wire/artifacts';
import type { AuditPageSchema } from '@tandem/wire/audit';
import type { BuildComparisonSchema, CompareBuildSchema } from '@tandem/wire/builds';
import type { EventResultsSchema, EventSchema } from '@tandem/wire/events';
import type { ExplanationSchema } from '@tandem/wire/explanations';
import type { GenerationReportSchema } from '@tandem/wire/generation-report';
import type { GenerationSchema, GenerationsSchema, RolledBackSchema } from '@tandem/wire/generations';
import type { KeptExplanationSchema, KeptPageSchema, ReplaySchema } from '@tandem/wire/kept-explanations';
import type { ModelDetailSchema, ModelsSchema, MovedLabelSchema } from '@tandem/wire/models';
import type { PredictionSchema, PredictionsSchema, ReadManySchema } from '@tandem/wire/predictions';
import type { PredictorSchema, PredictorsSchema, StableVersionsSchema } from '@tandem/wire/predictors';
import type { ProcessesSchema } from '@tandem/wire/processes';
import type { PushSchema } from '@tandem/wire/pushes';
import type { RankingSchema, RankSchema } from '@tandem/wire/rankings';
import type {
  BudgetSchema,
  RunDetailSchema,
  RunPageSchema,
  RunPlanSchema,
  RunSchema,
  StartRunSchema,
} from '@tandem/wire/runs';
import type { CandidateSchema, ReadmissionSchema, ReceiptSchema, UserSchema } from '@tandem/wire/users';

export type * from '@tandem/outcomes/wire-types';
export type * from '@tandem/rollouts/wire-types';
export type { Problem, ProblemCode } from '@tandem/transport/wire-types';

// Requests.
export type Budget = Sent<typeof BudgetSchema>;
export type BuildComparisonRequest = Sent<typeof CompareBuildSchema>;
export type Event = Sent<typeof EventSchema>;
export type Push = Sent<typeof PushSchema>;
export type Rank = Sent<typeof RankSchema>;
export type ReadMany = Sent<typeof ReadManySchema>;
export type StartRun = Sent<typeof StartRunSchema>;

// Answers.
export type Artifact = Answered<typeof ArtifactSchema>;
export type ListAuditAnswer = Answered<typeof AuditPageSchema>;
export type AuditRow = ListAuditAnswer['rows'][number];
export type BuildComparison = Answered<typeof BuildComparisonSchema>;
export type ComparedVersion = BuildComparison['parent'];
export type EventResult = Answered<typeof EventResultsSchema>['results'][number];
export type Explanation = Answered<typeof ExplanationSchema>;
export type Generation = Answered<typeof GenerationSchema>;
export type ListGenerationsAnswer = Answered<typeof GenerationsSchema>;
export type GenerationReport = Answered<typeof GenerationReportSchema>;
type Figures = NonNullable<GenerationReport['figures']>;
export type GenerationCoverage = Figures['users'];
export type OutputShift = NonNullable<SegmentValue['shift']>;
export type SegmentValue = Figures['segments'][number]['values'][number];
export type RollBackAnswer = Answered<typeof RolledBackSchema>;
export type KeptExplanation = Answered<typeof KeptExplanationSchema>;
export type ListKeptExplanationsAnswer = Answered<typeof KeptPageSchema>;
export type Replay = Answered<typeof ReplaySchema>;
export type ListModelsAnswer = Answered<typeof ModelsSchema>;
export type Model = ListModelsAnswer['models'][number];
export type ModelDetail = Answered<typeof ModelDetailSchema>;
export type ParityCertificate = NonNullable<ModelDetail['parity']>;
export type MovedLabel = Answered<typeof MovedLabelSchema>;
export type Prediction = Answered<typeof PredictionSchema>;
export type ReadPredictionsAnswer = Answered<typeof PredictionsSchema>;
export type Predictor = Answered<typeof PredictorSchema>;
export type ListPredictorsAnswer = Answered<typeof PredictorsSchema>;
export type ListStableVersionsAnswer = Answered<typeof StableVersionsSchema>;
export type StableVersion = ListStableVersionsAnswer['versions'][number];
export type ListProcessesAnswer = Answered<typeof ProcessesSchema>;
export type Process = ListProcessesAnswer['processes'][number];
export type Ranking = Answered<typeof RankingSchema>;
export type Run = Answered<typeof RunSchema>;
export type ShowRunAnswer = Answered<typeof RunDetailSchema>;
export type ListRunsAnswer = Answered<typeof RunPageSchema>;
export type RunPlan = Answered<typeof RunPlanSchema>;
export type Candidate = Answered<typeof CandidateSchema>;
export type User = Answered<typeof UserSchema>;
export type EventValue = User['context'][string];
export type ErasureReceipt = Answered<typeof ReceiptSchema>;
export type Readmission = Answered<typeof ReadmissionSchema>;
