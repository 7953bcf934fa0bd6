/** Metrics of what a read waits for, measured around the ports from outside: neither side knows. */
import type { Authority } from '@tandem/prediction/certificate';
import type { LivePredictor } from '@tandem/prediction/live-prediction';
import type { OnlinePredictions } from '@tandem/prediction/stored-prediction';
import type { Metrics } from '@tandem/telemetry/metrics';

interface Timer {
  observe(seconds: number): void;
}

export function observeAuthority(authority: Authority, metrics: Pick<Metrics, 'authority'>): Authority {
  const timed = timing((outcome) => metrics.authority.labels({ outcome }));
  return { certify: (userIds) => timed(() => authority.certify(userIds)) };
}

export function observeOnline(online: OnlinePredictions, metrics: Pick<Metrics, 'onlineLookup'>): OnlinePredictions {
  const timed = timing((outcome) => metrics.onlineLookup.labels({ outcome }));
  return {
    serverId: () => online.serverId(),
    find: (assignment, userIds) => timed(() => online.find(assignment, userIds)),
  };
}

export function observeLive(live: LivePredictor, metrics: Pick<Metrics, 'liveInference'>): LivePredictor {
  return {
    async predict(request) {
      const startedAt = performance.now();
      const outcomes = await live.predict(request);
      const seconds = (performance.now() - startedAt) / 1000;
      const { predictor } = request.version;
      for (const found of outcomes.values()) {
        const outcome = found.kind === 'failed' ? found.reason : found.kind;
        metrics.liveInference.observe({ predictor, outcome }, seconds);
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
