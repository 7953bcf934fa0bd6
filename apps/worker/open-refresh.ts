/**
 * Opens the re-scoring of this worker: a reader and a live predictor that use the worker's connections and children,
 * and a budget for their share.
 */
import type { FinishedRun } from '@tandem/inference/live/slot';
import { createPlainAuthority } from '@tandem/offline-store/certificate/plain-authority';
import type { StoredRegistry } from '@tandem/offline-store/models/registry';
import { createLossyWriter, createOverlayStore as createOverlayRows } from '@tandem/offline-store/reads/overlay';
import { createStoredPredictions } from '@tandem/offline-store/reads/predictions';
import { createDemandStore } from '@tandem/offline-store/reads/read-demand';
import { observeVisible } from '@tandem/offline-store/reads/visible-delays';
import { reportLostPast } from '@tandem/offline-store/sql/report-lost-past';
import type { OutboxPage } from '@tandem/prediction/events/relay-outbox';
import { createLivePredictor, type LivePredictorDependencies } from '@tandem/prediction/live/live-prediction';
import { Refresh, type RefreshDependencies, type RefreshObserver } from '@tandem/prediction/refresh/refresh';
import { createCpuBudget } from '@tandem/prediction/scoring/cpu-budget';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';
import type { WorkerPools } from './open-pools.ts';

interface OpenRefreshOptions
  extends Pick<RefreshDependencies, 'online' | 'windows' | 'budget'>,
    Pick<LivePredictorDependencies, 'features' | 'scorer' | 'overlay'> {
  readonly pool: WorkerPools['pool'];
  readonly registry: StoredRegistry;
  readonly log: Log;
  readonly metrics: Metrics;
}

interface OpenedRefresh {
  /** Receives each page of events that the relay has sent. */
  onRelayed(page: OutboxPage): void;
  /** Sets the gauges at each scrape. */
  sample(): void;
  close(): Promise<void>;
}

/**
 * Opens the re-scoring of this worker.
 * @param share the share of the worker's inference that re-scoring may use; 0: no user is re-scored
 */
export function openRefresh(share: number, options: OpenRefreshOptions): OpenedRefresh {
  if (share === 0) return NO_REFRESH;
  const { pool, registry, online, windows, budget, log, metrics } = options;
  const keeper = createLossyWriter(observeVisible(createOverlayRows(pool), pool, metrics));
  const refresh = new Refresh({
    ...{ registry, online, windows, budget },
    authority: createPlainAuthority(pool),
    lostPast: reportLostPast(pool, options),
    offline: createStoredPredictions(pool),
    live: createLivePredictor({
      features: options.features,
      scorer: options.scorer,
      overlay: options.overlay,
      keepLater: keeper.keepLater,
      keepNow: keeper.keepNow,
      maxStatements: 1,
      refreshes: true,
    }),
    demand: createDemandStore(pool),
    observer: observing(log, metrics),
  });
  return {
    onRelayed: (page) => refresh.told(page),
    sample() {
      metrics.refreshWaiting.set(refresh.waiting());
      metrics.refreshOldest.set(refresh.oldestMs() / 1_000);
    },
    async close() {
      await refresh.stop();
      await keeper.close();
    },
  };
}

const NO_REFRESH: OpenedRefresh = Object.freeze({ onRelayed() {}, sample() {}, async close() {} });

/**
 * Creates the CPU budget of re-scoring: a share of the worker's children. It is charged with live inference, which only
 * re-scoring does in a worker.
 */
export function createRefreshBudget(share: number, processes: number, metrics: Pick<Metrics, 'refreshCpu'>) {
  const budget = createCpuBudget(share * processes, () => performance.now());
  return {
    budget,
    onRun({ priority, cpuMs }: FinishedRun): void {
      if (priority !== 'live') return;
      budget.charge(cpuMs);
      metrics.refreshCpu.inc(cpuMs / 1_000);
    },
  };
}

function observing(log: Log, { refreshUsers, refreshLag, refreshDropped }: Metrics): RefreshObserver {
  return {
    counted: (predictor, outcome) => refreshUsers.inc({ predictor, outcome }),
    stored: (predictor, lagMs) => refreshLag.observe({ predictor }, lagMs / 1_000),
    dropped: (users, why) => refreshDropped.inc({ why }, users),
    failed(users, error) {
      refreshDropped.inc({ why: 'failed' }, users);
      log.warn('refresh.failed', { users, error: serialiseRefusal(error) });
    },
  };
}
