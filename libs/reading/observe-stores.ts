/** Measures what a read waits for. The ports are wrapped, so neither readers nor stores contain code for it. */

import { CALLER_GONE, type LiveOutcome } from '@tandem/freshness/live-predictor';
import type { OnlinePredictions } from '@tandem/freshness/stored-prediction';
import type { AuthorityOptions } from '@tandem/offline-store/certificate/authority';
import type { EventStore } from '@tandem/prediction/events/events';
import type { LivePredictorDependencies } from '@tandem/prediction/live/live-prediction';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';

interface Timer {
  observe(seconds: number): void;
}

/** Observes the statements of the authority. Reads that share a statement are observed once. */
export function observeStatements(metrics: Pick<Metrics, 'authority'>): NonNullable<AuthorityOptions['onStatement']> {
  const series = {
    ok: metrics.authority.labels({ outcome: 'ok' }),
    failed: metrics.authority.labels({ outcome: 'failed' }),
  };
  return (seconds, outcome) => series[outcome].observe(seconds);
}

/** Observes certificates: the number of users that share a statement, and changes of the database's history. */
export function observeCertificates(
  metrics: Pick<Metrics, 'authorityUsers' | 'historyChanges'>,
  log: Pick<Log, 'warn'>,
): NonNullable<AuthorityOptions['onCertificate']> {
  const users = metrics.authorityUsers.labels({});
  let known: string | undefined;
  return (history, count) => {
    users.observe(count);
    if (history === known) return;
    if (known !== undefined) {
      metrics.historyChanges.inc();
      log.warn('history.changed', { from: known, to: history });
    }
    known = history;
  };
}

export function observeEvents(events: EventStore, metrics: Pick<Metrics, 'eventAccept'>): EventStore {
  const timed = timing((outcome) => metrics.eventAccept.labels({ outcome }));
  return { accept: (...sent) => timed(() => events.accept(...sent)) };
}

export function observeOnline(online: OnlinePredictions, metrics: Pick<Metrics, 'onlineLookup'>): OnlinePredictions {
  const timed = timing((outcome) => metrics.onlineLookup.labels({ outcome }));
  return {
    serverId: () => online.serverId(),
    toldOfErasures: () => online.toldOfErasures(),
    toldOfWithdrawals: () => online.toldOfWithdrawals(),
    find: (assignment, userIds) => timed(() => online.find(assignment, userIds)),
  };
}

/**
 * Returns the name of an outcome for metrics. Rows with request features count once, by the first failure if there is
 * one.
 */
function nameOf(outcome: LiveOutcome): string {
  const one =
    outcome.kind === 'rows' ? (outcome.rows.find(({ kind }) => kind !== 'predicted') ?? outcome.rows[0]) : outcome;
  if (one === CALLER_GONE) return 'caller_gone';
  return one?.kind === 'failed' ? one.reason : (one?.kind ?? 'predicted');
}

/** Returns `onAnswered` of the live predictor, which observes results and waiting times of live reads. */
export function observeLive(
  metrics: Pick<Metrics, 'liveInference'>,
): NonNullable<LivePredictorDependencies['onAnswered']> {
  // Series are looked up once, since finding a series by its labels costs more than counting. There are few predictors
  // and five outcomes.
  const predictors = new Map<string, Map<string, Timer>>();
  const seriesOf = (predictor: string, outcome: string): Timer => {
    const known = predictors.get(predictor) ?? new Map<string, Timer>();
    predictors.set(predictor, known);
    const series = known.get(outcome) ?? metrics.liveInference.labels({ predictor, outcome });
    known.set(outcome, series);
    return series;
  };
  return ({ version }, outcomes, ms) => {
    for (const found of outcomes.values()) {
      seriesOf(version.predictor, nameOf(found)).observe(ms / 1000);
    }
  };
}

/** Measures the time of a call in one of two series, for success and failure. They are looked up once. */
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
