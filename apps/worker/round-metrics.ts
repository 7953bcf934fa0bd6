/** Metrics of housekeeping rounds: their work, and the age of the last successful round. */
import type { Metrics } from '@tandem/telemetry/metrics';
import { type EndedRound, ROUNDS, type RoundName } from './housekeeping.ts';

type Instruments = Pick<Metrics, 'roundAge' | 'roundsFailed' | 'outboxRelayed' | 'generationsNotLoaded'>;

/**
 * Creates the metrics of rounds.
 * @param now returns monotonic milliseconds
 */
export function createRoundMetrics(metrics: Instruments, now = () => performance.now()) {
  const lastGood = new Map<RoundName, number>(ROUNDS.map((round) => [round, now()]));
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
