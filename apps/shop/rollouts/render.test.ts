import type { OutcomeComparisonView } from '@tandem/client/wire';
import { describe, expect, it } from 'vitest';
import { renderOutcome, renderReason, renderTally } from './render.ts';

const compared: OutcomeComparisonView = {
  ...{ name: 'profit', variant: 'boosted', cap: null },
  ...{ stable: { users: 763, mean: 0.18, largest: 9 }, arm: { users: 1_798, mean: -0.6, largest: -9 } },
  ...{ difference: { estimate: -0.78, lower: -1.038, upper: -0.522 }, relative: null, pValue: 7.8e-15, eValue: 1e14 },
  sofar: { stable: { users: 763, mean: 0.18 }, arm: { users: 1_798, mean: -0.6 } },
  ...{ moreDays: null, usersNeeded: 106_193, detectableEffect: null },
  conclusion: { kind: 'worse', text: 'profit: boosted is worse than stable' },
};

describe('renderOutcome', () => {
  const text = (change: Partial<OutcomeComparisonView>) =>
    renderOutcome({ ...compared, ...change })
      .map((line) => line.trim())
      .join(' ');

  it('shows the figures with their interval and the conclusion', () => {
    expect(text({})).toBe(
      'profit of boosted: −0.600 (1,798 customers), of stable 0.180 (763); difference −0.780 (−1.038 to −0.522), p 7.8e-15 profit: boosted is worse than stable',
    );
    expect(text({ difference: null })).toMatch(/difference not known yet profit: boosted is worse than stable$/);
  });
});

describe('renderTally', () => {
  it('has one line for each arm, in columns', () => {
    const arm = {
      modelVersion: '1',
      customers: 2_335,
      reads: 4_000,
      live: 680,
      outcomes: { foresight: 0.956, profit: 0.13 },
    };
    const lines = renderTally([
      { ...arm, variant: 'stable' },
      { ...arm, variant: 'candidate', customers: 22, outcomes: { foresight: 0.888, profit: -0.52 } },
    ]);
    expect(lines).toEqual([
      '      stable      version 1   2,335 customers   17 % live   foresight 0.956   profit +$0.13 a customer',
      '      candidate   version 1      22 customers   17 % live   foresight 0.888   profit −$0.52 a customer',
    ]);
  });
});

describe('renderReason', () => {
  it('wraps a long sentence between words and keeps all words', () => {
    const sentence = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ');
    const lines = renderReason(sentence);
    expect(lines.every((line) => line.length <= 110)).toBe(true);
    expect(lines.map((line) => line.trim()).join(' ')).toBe(`why: ${sentence}`);
  });
});
