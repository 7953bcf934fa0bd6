import { describe, expect, it } from 'vitest';
import tandem from '../tandem.config.ts';
import { catalogueFrom, outcomesOf } from './outcomes.ts';

describe('outcomesOf', () => {
  it('sends a catalogue from the score at which it pays, which is that of the config', () => {
    expect(outcomesOf(0.125, true).profit).toBe(7);
    expect(outcomesOf(0.125, false).profit).toBe(-1);
    expect(outcomesOf(0.1249, true).profit).toBe(0);
    expect(tandem.predictors.repurchase?.decision).toEqual({ output: 'score', threshold: catalogueFrom });
  });

  it('is 1 at best and 0 at worst, and rewards honest probabilities', () => {
    expect(outcomesOf(1, true).foresight).toBe(1);
    expect(outcomesOf(1, false).foresight).toBe(0);
    const expected = (score: number) =>
      0.2 * outcomesOf(score, true).foresight + 0.8 * outcomesOf(score, false).foresight;
    for (const score of [0, 0.1, 0.19, 0.21, 0.3, 1]) expect(expected(score)).toBeLessThan(expected(0.2));
  });
});
