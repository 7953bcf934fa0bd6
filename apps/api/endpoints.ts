/** Every endpoint of the API. What is not in this list is not served, and not described. */
import type { Metrics } from '@tandem/telemetry/metrics';
import type { Endpoint } from './endpoint.ts';
import { type DocumentedApi, docsPage } from './routes/docs/page.ts';
import { showDocs } from './routes/docs/show.ts';
import { type SendDependencies, sendEvents } from './routes/events/send.ts';
import type { ExplanationDependencies } from './routes/explanations/explain.ts';
import { showExplanation } from './routes/explanations/show.ts';
import { showLive } from './routes/health/live.ts';
import { type ReadyDependencies, showReady } from './routes/health/ready.ts';
import { type MetricsDependencies, showMetrics } from './routes/metrics/show.ts';
import { listModels } from './routes/models/list.ts';
import { listModelsOfPredictor } from './routes/models/list-of-predictor.ts';
import type { ModelDependencies } from './routes/models/model-view.ts';
import { showOpenApi } from './routes/openapi/show.ts';
import { readMany } from './routes/predictions/read-many.ts';
import { type ReadDependencies, readOne } from './routes/predictions/read-one.ts';
import { listPredictors } from './routes/predictors/list.ts';
import { type GenerationDependencies, listGenerations } from './routes/predictors/list-generations.ts';
import type { PredictorDependencies, PredictorRegistry } from './routes/predictors/predictor-view.ts';
import { rollBack } from './routes/predictors/rollback.ts';
import { showPredictor } from './routes/predictors/show.ts';
import { cancelRun } from './routes/runs/cancel.ts';
import { listRuns } from './routes/runs/list.ts';
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
    RunDependencies,
    PredictorDependencies,
    GenerationDependencies,
    ModelDependencies,
    UserDependencies,
    ErasureDependencies,
    ExplanationDependencies,
    ReadyDependencies,
    MetricsDependencies {
  readonly registry: PredictorRegistry;
  readonly metrics: Metrics;
  /** Whether /metrics is served here: on loopback alone. */
  readonly servesMetrics: boolean;
}

/** @param document gives the OpenAPI document of these endpoints as JSON; asked for once, when somebody reads it */
export function createEndpoints(dependencies: EndpointDependencies, document: () => string): readonly Endpoint[] {
  const text = once(document);
  return [
    readOne(dependencies),
    readMany(dependencies),
    sendEvents(dependencies),
    showUser(dependencies),
    eraseUser(dependencies),
    readmitUser(dependencies),
    showExplanation(dependencies),
    startRun(dependencies),
    listRuns(dependencies),
    showRun(dependencies),
    showProgress(dependencies),
    cancelRun(dependencies),
    resumeRun(dependencies),
    listPredictors(dependencies),
    showPredictor(dependencies),
    listGenerations(dependencies),
    rollBack(dependencies),
    listModels(dependencies),
    listModelsOfPredictor(dependencies),
    showLive(),
    showReady(dependencies),
    ...(dependencies.servesMetrics ? [showMetrics(dependencies)] : []),
    showOpenApi(text),
    showDocs(once(() => docsPage(JSON.parse(text()) as DocumentedApi))),
  ];
}

function once(make: () => string): () => string {
  let made: string | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
