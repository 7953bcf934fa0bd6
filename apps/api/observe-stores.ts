/** Metrics of what a read waits for, measured around the ports from outside: neither side knows. */
import type { AuthorityOptions } from '@tandem/offline-store/authority';
import type { LivePredictor } from '@tandem/prediction/live-prediction';
import type { OnlinePredictions } from '@tandem/prediction/stored-prediction';
import type { Metrics } from '@tandem/telemetry/metrics';

interface Timer {
  observe(seconds: number): void;
}

/** Of the authority's statements: the reads that share one cost it nothing. */
export function observeStatements(metrics: Pick<Metrics, 'authority'>): NonNullable<AuthorityOptions['onStatement']> {
  const series = {
    ok: metrics.authority.labels({ outcome: 'ok' }),
    failed: metrics.authority.labels({ outcome: 'failed' }),
  };
  return (seconds, outcome) => series[outcome].observe(seconds);
}

export function observeOnline(online: OnlinePredictions, metrics: Pick<Metrics, 'onlineLookup'>): OnlinePredictions {
  const timed = timing((outcome) => metrics.onlineLookup.labels({ outcome }));
  return {
    serverId: () => online.serverId(),
    find: (assignment, userIds) => timed(() => online.find(assignment, userIds)),
  };
}

export function observeLive(live: LivePredictor, metrics: Pick<Metrics, 'liveInference'>): LivePredictor {
  // Looked up once: finding a series by its labels costs more than counting in it. Few predictors, five outcomes.
  const series = new Map<string, Timer>();
  const seriesOf = (predictor: string, outcome: string): Timer => {
    const key = `${outcome} ${predictor}`;
    const known = series.get(key);
    if (known) return known;
    const found = metrics.liveInference.labels({ predictor, outcome });
    series.set(key, found);
    return found;
  };
  return {
    async predict(request) {
      const startedAt = performance.now();
      const outcomes = await live.predict(request);
      const seconds = (performance.now() - startedAt) / 1000;
      const { predictor } = request.version;
      for (const found of outcomes.values()) {
        const outcome = found.kind === 'failed' ? found.reason : found.kind;
        seriesOf(predictor, outcome).observe(seconds);
      }
      return outcomes;
    },
  };
}

/** Times a call into one of two series, which are looked up once. */
function timing(series: (outcome: 'ok' | 'failed') => Timer) {
  const [ok, failed] = [series('ok'), series('failed')];
  return async <T>(call: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    try {
      const result = await call();
      ok.observe((performance.now() - startedAt) / 1000);
      return result;
    } catch (error) {
      failed.observe((performance.now() - startedAt) / 1000);
      throw error;
    }
  };
}
