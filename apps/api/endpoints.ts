/** Every endpoint of the API. An endpoint that is not in this list is neither served nor described. */
import type { ExplanationKeeper } from '@tandem/prediction/explanations/explanation-keeper';
import type { ExplanationStore } from '@tandem/prediction/explanations/kept-explanation';
import type { Metrics } from '@tandem/telemetry/metrics';
import type { Endpoint } from './http/endpoint.ts';
import { createOpenModels, type OpenInferenceDependencies } from './open-inference/open-models.ts';
import type { ArtifactDependencies } from './routes/artifacts/artifact-dependencies.ts';
import { downloadArtifact } from './routes/artifacts/download.ts';
import { showArtifact } from './routes/artifacts/show.ts';
import { uploadArtifact } from './routes/artifacts/upload.ts';
import { type AuditDependencies, listAuditRows } from './routes/audit/list.ts';
import { showDocs } from './routes/docs/show.ts';
import { type SendDependencies, sendEvents } from './routes/events/send.ts';
import type { ExplanationDependencies } from './routes/explanations/explain.ts';
import { type KeepDependencies, keepExplanation } from './routes/explanations/keep.ts';
import { type ListKeptDependencies, listKeptExplanations } from './routes/explanations/list-kept.ts';
import { type ReplayEndpointDependencies, replayExplanation } from './routes/explanations/replay.ts';
import { showExplanation } from './routes/explanations/show.ts';
import { showKeptExplanation } from './routes/explanations/show-kept.ts';
import { showLive } from './routes/health/live.ts';
import { type ReadyDependencies, showReady } from './routes/health/ready.ts';
import { type MetricsDependencies, showMetrics } from './routes/metrics/show.ts';
import { archiveModel } from './routes/models/archive.ts';
import { type CompareBuildDependencies, compareBuild } from './routes/models/compare-build.ts';
import { listModels } from './routes/models/list.ts';
import { listModelsOfPredictor } from './routes/models/list-of-predictor.ts';
import type { ModelDependencies } from './routes/models/model-view.ts';
import { moveModelLabel } from './routes/models/move-label.ts';
import { type PushDependencies, pushModel } from './routes/models/push.ts';
import { showModel } from './routes/models/show.ts';
import { inferTensors } from './routes/open-inference/infer.ts';
import { showInferenceHealth } from './routes/open-inference/show-health.ts';
import { showInferenceModel } from './routes/open-inference/show-model.ts';
import { showInferenceServer } from './routes/open-inference/show-server.ts';
import { showOpenApi } from './routes/openapi/show.ts';
import { type OutcomeDependencies, sendOutcomes } from './routes/outcomes/send.ts';
import { readMany } from './routes/predictions/read-many.ts';
import { type ReadDependencies, readOne } from './routes/predictions/read-one.ts';
import { approveGeneration } from './routes/predictors/approve-generation.ts';
import { listPredictors } from './routes/predictors/list.ts';
import { type GenerationDependencies, listGenerations } from './routes/predictors/list-generations.ts';
import { listStableVersions } from './routes/predictors/list-stable-versions.ts';
import type { PredictorDependencies, PredictorRegistry } from './routes/predictors/predictor-view.ts';
import { rollBack } from './routes/predictors/rollback.ts';
import { showPredictor } from './routes/predictors/show.ts';
import { type ShowReportDependencies, showReport } from './routes/predictors/show-report.ts';
import { listProcesses, type ProcessDependencies } from './routes/processes/list.ts';
import { rank } from './routes/rankings/rank.ts';
import { type CheckDependencies, listRolloutChecks } from './routes/rollouts/checks.ts';
import { listRollouts } from './routes/rollouts/list.ts';
import { moveRollout } from './routes/rollouts/move.ts';
import { overrideArms } from './routes/rollouts/override.ts';
import { type ReportDependencies, showRolloutReport } from './routes/rollouts/report.ts';
import { type ShadowReportDependencies, showShadowReport } from './routes/rollouts/shadow-report.ts';
import { showRollout } from './routes/rollouts/show.ts';
import { type StartDependencies, startRollout } from './routes/rollouts/start.ts';
import { cancelRun } from './routes/runs/cancel.ts';
import { listRuns } from './routes/runs/list.ts';
import { planRun, type RunPlanDependencies } from './routes/runs/plan.ts';
import { showProgress } from './routes/runs/progress.ts';
import { resumeRun } from './routes/runs/resume.ts';
import type { RunDependencies } from './routes/runs/run-dependencies.ts';
import { showRun } from './routes/runs/show.ts';
import { startRun } from './routes/runs/start.ts';
import { eraseUser } from './routes/users/erase.ts';
import type { ErasureDependencies } from './routes/users/erasure-dependencies.ts';
import { readmitUser } from './routes/users/readmit.ts';
import { showUser, type UserDependencies } from './routes/users/show.ts';

export interface EndpointDependencies
  extends ReadDependencies,
    SendDependencies,
    OutcomeDependencies,
    RunDependencies,
    RunPlanDependencies,
    PredictorDependencies,
    GenerationDependencies,
    ShowReportDependencies,
    ModelDependencies,
    ArtifactDependencies,
    PushDependencies,
    CompareBuildDependencies,
    ProcessDependencies,
    UserDependencies,
    ErasureDependencies,
    ExplanationDependencies,
    KeepDependencies,
    ListKeptDependencies,
    ReplayEndpointDependencies,
    StartDependencies,
    ReportDependencies,
    CheckDependencies,
    AuditDependencies,
    ShadowReportDependencies,
    OpenInferenceDependencies,
    ReadyDependencies,
    MetricsDependencies {
  readonly registry: PredictorRegistry;
  readonly explanations: ExplanationStore;
  readonly explanationKeeper: Pick<ExplanationKeeper, 'notice' | 'keepNow'>;
  readonly metrics: Metrics;
  /** Whether this port serves /metrics, as it does only on loopback. */
  readonly servesMetrics: boolean;
}

/** Sources of the endpoints that serve the API's description. */
interface ApiDescription {
  /** Returns the OpenAPI document as JSON. */
  readonly document: () => string;
  /** Returns the documentation page as HTML. */
  readonly page: () => string;
}

export function createEndpoints(
  dependencies: EndpointDependencies,
  { document, page }: ApiDescription,
): readonly Endpoint[] {
  return [
    readOne(dependencies),
    readMany(dependencies),
    rank(dependencies),
    ...sendEvents(dependencies),
    sendOutcomes(dependencies),
    ...userEndpoints(dependencies),
    startRun(dependencies),
    listRuns(dependencies),
    // This endpoint must precede that of a run by id, whose path would match too.
    planRun(dependencies),
    showRun(dependencies),
    showProgress(dependencies),
    cancelRun(dependencies),
    resumeRun(dependencies),
    ...predictorEndpoints(dependencies),
    startRollout(dependencies),
    listRollouts(dependencies),
    showRollout(dependencies),
    showRolloutReport(dependencies),
    listRolloutChecks(dependencies),
    ...moveRollout(dependencies),
    ...overrideArms(dependencies),
    ...modelEndpoints(dependencies),
    listProcesses(dependencies),
    showShadowReport(dependencies),
    listAuditRows(dependencies),
    ...inferenceEndpoints(dependencies),
    showLive(),
    showReady(dependencies),
    ...(dependencies.servesMetrics ? [showMetrics(dependencies)] : []),
    showOpenApi(document),
    showDocs(page),
  ];
}

function userEndpoints(dependencies: EndpointDependencies): readonly Endpoint[] {
  return [
    showUser(dependencies),
    eraseUser(dependencies),
    readmitUser(dependencies),
    showExplanation(dependencies),
    keepExplanation(dependencies),
    listKeptExplanations(dependencies),
    showKeptExplanation(dependencies),
    replayExplanation(dependencies),
  ];
}

function predictorEndpoints(dependencies: EndpointDependencies): readonly Endpoint[] {
  return [
    listPredictors(dependencies),
    showPredictor(dependencies),
    listGenerations(dependencies),
    showReport(dependencies),
    approveGeneration(dependencies),
    listStableVersions(dependencies),
    rollBack(dependencies),
  ];
}

function modelEndpoints(dependencies: EndpointDependencies): readonly Endpoint[] {
  return [
    listModels(dependencies),
    listModelsOfPredictor(dependencies),
    showModel(dependencies),
    pushModel(dependencies),
    moveModelLabel(dependencies),
    archiveModel(dependencies),
    uploadArtifact(dependencies),
    showArtifact(dependencies),
    downloadArtifact(dependencies),
    compareBuild(dependencies),
  ];
}

function inferenceEndpoints(dependencies: EndpointDependencies): readonly Endpoint[] {
  const findOpenModel = createOpenModels(dependencies);
  return [
    ...showInferenceServer(),
    ...showInferenceHealth(dependencies),
    ...showInferenceModel({ ...dependencies, findOpenModel }),
    ...inferTensors({ findOpenModel }),
  ];
}
