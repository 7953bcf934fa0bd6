/**
 * The failpoints: a place before or after each step of the protocol, found by text in the product's files. Names have
 * the form `path.moment`. ARCHITECTURE.md and the comments of the files describe the steps (E1 to E4, B1 to B9, V1 to
 * V5).
 */
import type { Patch, Plant } from './patch.ts';

interface Site {
  readonly file: string;
  /** Whole lines that occur once in the file, so that a statement can stand before or after them. */
  readonly anchor: string;
  readonly before?: string;
  readonly after?: string;
}

const EVENTS: readonly Site[] = [
  {
    file: 'apps/api/wiring/record-events.ts',
    anchor: '    const results = await store.accept(events, keyId);\n',
    before: 'event.before_transaction',
    after: 'event.after_commit',
  },
  {
    file: 'apps/api/wiring/record-events.ts',
    anchor:
      "      await within(hintBudgetMs, hints.raise([...newest.values()]), () => new Error('the hint took too long'));\n",
    before: 'event.at_hint',
  },
  { file: 'apps/api/wiring/record-events.ts', anchor: '    return results;\n', before: 'event.before_reply' },
];

const RUNS: readonly Site[] = [
  {
    file: 'apps/api/routes/runs/start.ts',
    anchor: '      await hintWorker(rest, run.id, event);\n',
    before: 'run.after_insert',
    after: 'run.before_reply',
  },
  {
    file: 'libs/prediction/runs/schedule-runs.ts',
    anchor: '      await hints.plan(run.id);\n',
    before: 'schedule.after_insert',
    after: 'schedule.after_enqueue',
  },
  {
    file: 'libs/prediction/runs/plan-run.ts',
    anchor: "  const report = await workStep(dependencies, runId, 'plan', options, plan);\n",
    before: 'batch.before_plan',
  },
  {
    file: 'libs/prediction/runs/work-step.ts',
    anchor: "  if ('failed' in claimed) return { outcome: 'failed', error: claimed.failed, ...attempt };\n",
    after: 'batch.step_claimed',
  },
  {
    file: 'libs/prediction/runs/plan-run.ts',
    anchor: "  if (report.outcome === 'done') await hintAtChunks({ runs, hints }, report.result);\n",
    before: 'batch.after_plan',
    after: 'batch.after_enqueue',
  },
];

const CHUNKS: readonly Site[] = [
  {
    file: 'libs/prediction/runs/run-chunk.ts',
    anchor: '    const chunk = await runs.claim(runId, no, lease.leaseMs);\n',
    before: 'batch.before_claim',
    after: 'batch.after_claim',
  },
  {
    file: 'libs/prediction/runs/score-chunk.ts',
    anchor:
      '  const { batch, rows, failures: unread } = await readChunk(features, version, chunk, ended, onProgress);\n',
    before: 'batch.before_read',
    after: 'batch.after_read',
  },
  {
    file: 'libs/prediction/runs/score-chunk.ts',
    anchor: '  const scored = scoredOf(batch, scores);\n',
    before: 'batch.after_score',
  },
  {
    file: 'libs/prediction/runs/run-chunk.ts',
    anchor: '  const commit = await runs.commit(run, chunk, result);\n',
    before: 'batch.before_commit',
    after: 'batch.after_commit',
  },
  {
    file: 'libs/offline-store/runs/commit-chunk.ts',
    anchor: '      await writePredictions(db, run, result, written);\n',
    before: 'batch.in_transaction',
    after: 'batch.rows_written',
  },
  {
    file: 'libs/prediction/runs/load-chunk.ts',
    anchor: '    if (run.generationId === null) {\n',
    before: 'batch.before_load',
  },
  {
    file: 'libs/prediction/runs/load-chunk.ts',
    anchor: '    await runs.markLoaded(run.id, chunk.no);\n',
    before: 'batch.after_load',
    after: 'batch.after_mark_loaded',
  },
  {
    file: 'apps/worker/processors/run-chunk.ts',
    anchor: '    return { ...report };\n',
    before: 'batch.before_finish',
  },
];

const PUBLISHING: readonly Site[] = [
  {
    file: 'libs/prediction/runs/publish-run.ts',
    anchor: "  const report = await workStep(dependencies, runId, 'publish', options, publish);\n",
    before: 'batch.before_publish',
    after: 'batch.after_publish',
  },
  {
    file: 'libs/offline-store/runs/publish.ts',
    anchor: '  await setRunState(db, run.id, state, told);\n',
    before: 'batch.in_publish',
  },
  {
    file: 'apps/worker/processors/load-generation.ts',
    anchor: '  return async ({ generationId }, job) => {\n',
    after: 'load.before_generation',
  },
];

const READS: readonly Site[] = [
  {
    file: 'libs/offline-store/certificate/authority.ts',
    anchor: "      onStatement?.((performance.now() - startedAt) / 1000, 'ok');\n",
    before: 'read.certificate_arrived',
  },
  {
    file: 'apps/api/routes/predictions/read-one.ts',
    anchor: '    const { source, reason } = result;\n',
    before: 'read.before_reply',
  },
];

const LIVE: readonly Site[] = [
  {
    file: 'libs/prediction/live/run-flights.ts',
    anchor: '  const certified = await dependencies.features\n',
    before: 'live.before_read',
  },
  {
    file: 'libs/prediction/live/run-flights.ts',
    anchor: '  if (certified.certificate.history !== request.history) {\n',
    before: 'live.after_read',
  },
  {
    file: 'libs/prediction/live/run-flights.ts',
    anchor: '  const timeoutMs = Math.max(1, latestOf(flights) - performance.now());\n',
    before: 'live.before_infer',
  },
  {
    file: 'libs/prediction/live/run-flights.ts',
    anchor: '    const results = await keepAnswers(dependencies, entries, latestOf(group.flights));\n',
    before: 'live.after_infer',
    after: 'live.after_store',
  },
];

const HOUSEKEEPING: readonly Site[] = [
  {
    file: 'libs/prediction/events/relay-outbox.ts',
    anchor: '      await hints.raise(newest);\n',
    before: 'outbox.before_raise',
    after: 'outbox.after_raise',
  },
  {
    file: 'libs/prediction/events/relay-outbox.ts',
    anchor: '    relayed += taken;\n',
    before: 'outbox.after_remove',
  },
  {
    file: 'libs/prediction/runs/reconcile.ts',
    anchor: "    const erasuresSwept = await step('erasures', () => erasures.round(), 0);\n",
    before: 'reconcile.after_runs',
    after: 'reconcile.before_loads',
  },
];

const ENDING: readonly Site[] = [
  {
    file: 'apps/api/main.ts',
    anchor: '      await dependencies.close();\n      return finished.every(Boolean);\n',
    before: 'api.in_shutdown',
  },
  {
    file: 'apps/worker/main.ts',
    anchor: '    await server?.close();\n',
    before: 'worker.in_shutdown',
  },
];

const SITES: readonly Site[] = [
  ...EVENTS,
  ...RUNS,
  ...CHUNKS,
  ...PUBLISHING,
  ...READS,
  ...LIVE,
  ...HOUSEKEEPING,
  ...ENDING,
];

export const failpoints: Plant = {
  name: 'failpoints',
  what: 'a place to fail before and after each step of the protocol',
  patches: SITES.map(patchOf),
};

export const failpointNames: readonly string[] = SITES.flatMap(({ before, after }) =>
  [before, after].filter((name) => name !== undefined),
);

function patchOf({ file, anchor, before, after }: Site): Patch {
  const call = (name: string | undefined) => (name === undefined ? '' : `await failpoint('${name}');\n`);
  return { file, find: anchor, replace: `${call(before)}${anchor}${call(after)}` };
}
