import type { PredictionAnswer } from '@tandem/client/wire';
import { describe, expect, it } from 'vitest';
import { createTally } from './tally.ts';

const answer: PredictionAnswer = {
  ...{ predictor: 'repurchase', userId: '1', prediction: { score: 0.2 }, source: 'batch', reason: 'fresh' },
  ...{ modelVersion: '1', variant: 'stable', generation: '1', computedAt: null, ageSeconds: null },
  ...{ contextVersion: 0, lastConcerningVersion: 0, predictedFromContextVersion: 0 },
};

describe('createTally', () => {
  it('counts customers once and all reads, by arm with stable first, and restarts after each call', () => {
    const tally = createTally();
    tally.add({ ...answer, variant: 'boosted', modelVersion: '3' }, { foresight: 0.5, profit: 7 });
    tally.add(answer, { foresight: 1, profit: -1 });
    tally.add({ ...answer, source: 'live' }, { foresight: 0.5, profit: 0 });
    const stable = { variant: 'stable', modelVersion: '1', customers: 1, reads: 2, live: 1 };
    const boosted = { variant: 'boosted', modelVersion: '3', customers: 1, reads: 1, live: 0 };
    expect(tally.take()).toEqual([
      { ...stable, outcomes: { foresight: 0.75, profit: -0.5 } },
      { ...boosted, outcomes: { foresight: 0.5, profit: 7 } },
    ]);
    expect(tally.take()).toEqual([]);
  });
});
