import { createMetrics } from '@tandem/telemetry/metrics';
import { expect, it } from 'vitest';
import { createRoundMetrics } from './round-metrics.ts';

function start() {
  const metrics = createMetrics({ app: 'worker', processMetrics: false });
  let now = 1_000;
  const rounds = createRoundMetrics(metrics, [], () => now);
  return {
    ...rounds,
    pass: (ms: number) => {
      now += ms;
    },
    async sampled(series: string) {
      rounds.sample();
      const line = (await metrics.exposition()).split('\n').find((one) => one.startsWith(series));
      return line && Number(line.split(' ').at(-1));
    },
  };
}

it('reports the age of the last successful round, counted from the start if there is none', async () => {
  const { onRound, pass, sampled } = start();
  pass(7_000);
  expect(await sampled('tandem_round_age_seconds{round="retention"')).toBe(7);
  onRound({ round: 'reconcile', done: {}, errors: [] });
  pass(3_000);
  onRound({ round: 'reconcile', done: {}, errors: ['outbox: Redis is away'] });
  pass(2_000);
  expect(await sampled('tandem_round_age_seconds{round="reconcile"')).toBe(5);
  expect(await sampled('tandem_round_age_seconds{round="retention"')).toBe(12);
  expect(await sampled('tandem_rounds_failed_total{round="reconcile"')).toBe(1);
});

it('sums the relayed hints, and ignores the generation count of a failed round', async () => {
  const { onRound, sampled } = start();
  for (const hintsRelayed of [3, 4]) onRound({ round: 'outbox', done: { hintsRelayed }, errors: [] });
  onRound({ round: 'reconcile', done: { generationsToLoad: 2 }, errors: [] });
  onRound({ round: 'reconcile', done: { generationsToLoad: 0 }, errors: ['generations: away'] });
  expect(await sampled('tandem_outbox_relayed_total')).toBe(7);
  expect(await sampled('tandem_generations_not_loaded')).toBe(2);
  onRound({ round: 'retention', done: { rowsExpired: 9 }, errors: [] });
  expect(await sampled('tandem_generations_not_loaded')).toBe(2);
});
