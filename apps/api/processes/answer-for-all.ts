/**
 * Metrics and readiness of a port that several processes share. A request can reach any of them, so each answers for
 * all. Metrics have the series of every process. The readiness is `degraded` if some processes are not ready, because
 * the others keep serving.
 */
import { mergeExpositions } from '@tandem/telemetry/merge-expositions';
import type { Metrics } from '@tandem/telemetry/metrics';
import type { Readiness, ReadinessChecker } from '../wiring/readiness.ts';
import type { Member } from './member.ts';

interface Answering {
  readonly metrics: Pick<Metrics, 'exposition'>;
  readonly readiness: ReadinessChecker;
}

/** Returns the app with metrics and readiness that cover all processes. */
export function answerForAll<A extends Answering>(member: Member, app: A): A {
  const { metrics, readiness } = app;
  member.answer('exposition', metrics.exposition);
  member.answer('readiness', readiness.check);
  return {
    ...app,
    metrics: {
      ...metrics,
      async exposition() {
        const [own, others] = await Promise.all([metrics.exposition(), member.gather('exposition')]);
        return mergeExpositions([own, ...others.filter((text) => typeof text === 'string')]);
      },
    },
    readiness: {
      ...readiness,
      async check() {
        const [own, others] = await Promise.all([readiness.check(), member.gather('readiness')]);
        return readyTogether([own, ...others.map((found) => (found as Readiness | null) ?? SILENT)]);
      },
    },
  };
}

const SILENT: Readiness = Object.freeze({
  status: 'not_ready',
  parts: [Object.freeze({ name: 'process', status: 'failed' as const })],
});

const WORST_PART = ['draining', 'failed', 'ok'] as const;

/**
 * Combines the readiness of all processes. It is `not_ready` if no process is ready, or if one drains, because the
 * primary then ends all of them. Each part has its worst status. Exported for its test.
 */
export function readyTogether(all: readonly Readiness[]): Readiness {
  const parts = new Map<string, Readiness['parts'][number]['status']>();
  for (const { name, status } of all.flatMap((one) => one.parts)) {
    parts.set(name, WORST_PART.find((worst) => worst === status || worst === parts.get(name)) ?? status);
  }
  const isDraining = [...parts.values()].some((status) => status === 'draining');
  const isNone = all.every(({ status }) => status === 'not_ready');
  const isDegraded = all.some(({ status }) => status !== 'ready');
  return {
    status: isNone || isDraining ? 'not_ready' : isDegraded ? 'degraded' : 'ready',
    parts: [...parts].map(([name, status]) => ({ name, status })),
  };
}
