/** Metrics of housekeeping rounds: their work, and the age of the last successful round. */
import type { Metrics } from '@tandem/telemetry/metrics';
import { type EndedRound, ROUNDS } from './housekeeping.ts';

type Instruments = Pick<Metrics, 'roundAge' | 'roundsFailed' | 'outboxRelayed' | 'generationsNotLoaded'>;

/**
 * Creates the metrics of rounds.
 * @param more the names of the rounds of extensions
 * @param now returns monotonic milliseconds
 */
export function createRoundMetrics(metrics: Instruments, more: readonly string[] = [], now = () => performance.now()) {
  const lastGood = new Map<string, number>([...ROUNDS, ...more].map((round) => [round, now()]));
  return {
    onRound({ round, done, errors }: EndedRound): void {
      if (errors.length > 0) metrics.roundsFailed.inc({ round });
      else lastGood.set(round, now());
      metrics.outboxRelayed.inc(done.hintsRelayed ?? 0);
      // After a failed round the value is unknown.
      if (errors.length === 0 && done.generationsToLoad !== undefined) {
        metrics.generationsNotLoaded.set(done.generationsToLoad);
      }
    },
    /** Sets the ages at each scrape. */
    sample() {
      for (const [round, at] of lastGood) metrics.roundAge.set({ round }, (now() - at) / 1000);
    },
  };
}
