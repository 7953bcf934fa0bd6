import type { Backlog } from '@tandem/offline-store/runs/backlog';
import { createMetrics } from '@tandem/telemetry/metrics';
import { expect, it } from 'vitest';
import { createObserveBacklog } from './observe-backlog.ts';

const run = { predictor: 'churn', runs: 1, oldestSeconds: 5, chunksOpen: 3, chunksCommitted: 4, chunksFailed: 0 };
const classCounts = { waiting: 2, active: 1, delayed: 0, failed: 0 };
const counts = async () => ({
  planning: classCounts,
  publishing: classCounts,
  scoring: classCounts,
  loading: classCounts,
});
const empty: Backlog = {
  outbox: { entries: 0, oldestSeconds: 0 },
  runs: [],
  generations: [],
  preparing: [],
  overdue: [],
  missingWatches: [],
  faultedWatches: [],
  overdueRows: [],
};

function observer(first: Partial<Backlog>, queue = { counts }) {
  const metrics = createMetrics({ app: 'worker', processMetrics: false });
  const looks = [{ ...empty, ...first }, empty];
  const findBacklog = async () => looks.shift() ?? Promise.reject(new Error('Postgres is away'));
  const observe = createObserveBacklog({ findBacklog, queue, metrics });
  const seriesOf = async (name: string) =>
    (await metrics.exposition()).split('\n').filter((line) => line.startsWith(`${name}{`));
  return { observe, seriesOf };
}

it('counts runs by predictor and state, and chunks and the oldest run by predictor', async () => {
  const { observe, seriesOf } = observer({
    runs: [
      { ...run, state: 'running' },
      { ...run, state: 'planned', runs: 2, oldestSeconds: 9 },
    ],
  });
  await observe();
  expect(await seriesOf('tandem_runs_unfinished')).toEqual([
    'tandem_runs_unfinished{predictor="churn",state="running",app="worker"} 1',
    'tandem_runs_unfinished{predictor="churn",state="planned",app="worker"} 2',
  ]);
  expect(await seriesOf('tandem_run_oldest_seconds')).toEqual([
    'tandem_run_oldest_seconds{predictor="churn",app="worker"} 9',
  ]);
  expect(await seriesOf('tandem_run_chunks')).toContain(
    'tandem_run_chunks{predictor="churn",state="committed",app="worker"} 8',
  );
  expect(await seriesOf('tandem_queue_jobs')).toContain(
    'tandem_queue_jobs{class="scoring",state="waiting",app="worker"} 2',
  );
});

it('drops the values of ended runs, begun rollouts, and predictors that are no longer served', async () => {
  const { observe, seriesOf } = observer({
    runs: [{ ...run, state: 'running' }],
    generations: [{ predictor: 'churn', ageSeconds: 60 }],
    preparing: [{ predictor: 'churn', seconds: 3_700 }],
    overdue: [{ predictor: 'churn', state: 'holding', seconds: 60 }],
    missingWatches: [{ predictor: 'churn', tables: 2 }],
    faultedWatches: [{ predictor: 'churn', reason: 'ddl', watches: 1 }],
  });
  await observe();
  expect(await seriesOf('tandem_generation_age_seconds')).toHaveLength(1);
  expect(await seriesOf('tandem_rollout_preparing_seconds')).toEqual([
    'tandem_rollout_preparing_seconds{predictor="churn",app="worker"} 3700',
  ]);
  expect(await seriesOf('tandem_rollout_overdue_seconds')).toEqual([
    'tandem_rollout_overdue_seconds{predictor="churn",state="holding",app="worker"} 60',
  ]);
  expect(await seriesOf('tandem_watches_missing')).toEqual([
    'tandem_watches_missing{predictor="churn",app="worker"} 2',
  ]);
  expect(await seriesOf('tandem_watches_faulted')).toEqual([
    'tandem_watches_faulted{predictor="churn",reason="ddl",app="worker"} 1',
  ]);
  await observe();
  const gone = ['tandem_runs_unfinished', 'tandem_run_chunks', 'tandem_generation_age_seconds'];
  for (const name of [
    ...gone,
    'tandem_rollout_preparing_seconds',
    'tandem_rollout_overdue_seconds',
    'tandem_watches_missing',
    'tandem_watches_faulted',
  ]) {
    expect(await seriesOf(name)).toEqual([]);
  }
});

it('sets the gauges of one store and rejects if the other store does not answer', async () => {
  const { observe, seriesOf } = observer(
    { generations: [{ predictor: 'churn', ageSeconds: 60 }] },
    { counts: () => Promise.reject(new Error('the queue is away')) },
  );
  await expect(observe()).rejects.toThrow('the queue is away');
  expect(await seriesOf('tandem_generation_age_seconds')).toHaveLength(1);
  await expect(observe()).rejects.toThrow('the queue is away');
  await expect(observe()).rejects.toThrow('Postgres is away');
});
