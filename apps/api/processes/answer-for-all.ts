/**
 * Metrics and readiness of a port that several processes share. A request reaches any one of them, so each answers for all:
 * with the series of every process, and as ready as the process that is least ready.
 */
import { mergeExpositions } from '@tandem/telemetry/merge-expositions';
import type { Metrics } from '@tandem/telemetry/metrics';
import type { Readiness, ReadinessChecker } from '../wiring/readiness.ts';
import type { Member } from './member.ts';

interface Answering {
  readonly metrics: Pick<Metrics, 'exposition'>;
  readonly readiness: ReadinessChecker;
}

/** Returns the same with the answers of all processes. */
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
        return leastReady([own, ...others.map((found) => (found as Readiness | null) ?? SILENT)]);
      },
    },
  };
}

/** A process that does not answer takes no further connection, so that the others serve on without it. */
const SILENT: Readiness = Object.freeze({
  status: 'degraded',
  parts: [Object.freeze({ name: 'process', status: 'failed' as const })],
});

const FROM_WORST = ['not_ready', 'degraded', 'ready'] as const;
const WORST_PART = ['draining', 'failed', 'ok'] as const;

/** The worst status of all processes, and of each part. Exported for its test. */
export function leastReady(all: readonly Readiness[]): Readiness {
  const parts = new Map<string, Readiness['parts'][number]['status']>();
  for (const { name, status } of all.flatMap((one) => one.parts)) {
    parts.set(name, WORST_PART.find((worst) => worst === status || worst === parts.get(name)) ?? status);
  }
  return {
    status: FROM_WORST.find((worst) => all.some(({ status }) => status === worst)) ?? 'ready',
    parts: [...parts].map(([name, status]) => ({ name, status })),
  };
}
