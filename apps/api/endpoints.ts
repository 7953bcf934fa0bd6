/** Every endpoint of the API. An endpoint that is not in this list is neither served nor described. */
import type { Endpoint } from '@tandem/endpoints/endpoint';
import { downloadArtifact } from './routes/artifacts/download.ts';
import { showArtifact } from './routes/artifacts/show.ts';
import { uploadArtifact } from './routes/artifacts/upload.ts';
import { listAuditRows } from './routes/audit/list.ts';
import { showDocs } from './routes/docs/show.ts';
import { sendEvents } from './routes/events/send.ts';
import { keepExplanation } from './routes/explanations/keep.ts';
import { listKeptExplanations } from './routes/explanations/list-kept.ts';
import { replayExplanation } from './routes/explanations/replay.ts';
import { showExplanation } from './routes/explanations/show.ts';
import { showKeptExplanation } from './routes/explanations/show-kept.ts';
import { showLive } from './routes/health/live.ts';
import { showReady } from './routes/health/ready.ts';
import { showMetrics } from './routes/metrics/show.ts';
import { archiveModel } from './routes/models/archive.ts';
import { compareBuild } from './routes/models/compare-build.ts';
import { listModels } from './routes/models/list.ts';
import { listModelsOfPredictor } from './routes/models/list-of-predictor.ts';
import { moveModelLabel } from './routes/models/move-label.ts';
import { pushModel } from './routes/models/push.ts';
import { showModel } from './routes/models/show.ts';
import { showOpenApi } from './routes/openapi/show.ts';
import { readMany } from './routes/predictions/read-many.ts';
import { readOne } from './routes/predictions/read-one.ts';
import { approveGeneration } from './routes/predictors/approve-generation.ts';
import { listPredictors } from './routes/predictors/list.ts';
import { listGenerations } from './routes/predictors/list-generations.ts';
import { listStableVersions } from './routes/predictors/list-stable-versions.ts';
import { rollBack } from './routes/predictors/rollback.ts';
import { showPredictor } from './routes/predictors/show.ts';
import { showReport } from './routes/predictors/show-report.ts';
import { listProcesses } from './routes/processes/list.ts';
import { rank } from './routes/rankings/rank.ts';
import { cancelRun } from './routes/runs/cancel.ts';
import { listRuns } from './routes/runs/list.ts';
import { planRun } from './routes/runs/plan.ts';
import { showProgress } from './routes/runs/progress.ts';
import { resumeRun } from './routes/runs/resume.ts';
import { showRun } from './routes/runs/show.ts';
import { startRun } from './routes/runs/start.ts';
import { eraseUser } from './routes/users/erase.ts';
import { readmitUser } from './routes/users/readmit.ts';
import { showUser } from './routes/users/show.ts';
import type { RouteDependencies } from './wiring/route-dependencies.ts';

/** Sources of the endpoints that serve the API's description. */
interface ApiDescription {
  /** Returns the OpenAPI document as JSON. */
  readonly document: () => string;
  /** Returns the documentation page as HTML. */
  readonly page: () => string;
}

export function createEndpoints(
  dependencies: RouteDependencies,
  { document, page }: ApiDescription,
): readonly Endpoint[] {
  return [
    readOne(dependencies),
    readMany(dependencies),
    rank(dependencies),
    ...sendEvents(dependencies),
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
    ...modelEndpoints(dependencies),
    listProcesses(dependencies),
    listAuditRows(dependencies),
    ...dependencies.extensions.flatMap(({ routes }) => routes(dependencies)),
    showLive(),
    showReady(dependencies),
    ...(dependencies.servesMetrics ? [showMetrics(dependencies)] : []),
    showOpenApi(document),
    showDocs(page),
  ];
}

function userEndpoints(dependencies: RouteDependencies): readonly Endpoint[] {
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

function predictorEndpoints(dependencies: RouteDependencies): readonly Endpoint[] {
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

function modelEndpoints(dependencies: RouteDependencies): readonly Endpoint[] {
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
