import { PLAIN_READ } from '@tandem/freshness/read-options';
import { describe, expect, it } from 'vitest';
import { optionsFor } from './read-options.ts';

describe('optionsFor', () => {
  it("converts min-fresh to the greatest age at which that much of the predictor's maxAge is left", () => {
    expect(optionsFor({ ...PLAIN_READ, minFresh: 600 }, 3_600_000).maxAge).toBe(3_000);
    expect(optionsFor({ ...PLAIN_READ, minFresh: 600, maxAge: 60 }, 3_600_000).maxAge).toBe(60);
    expect(optionsFor({ ...PLAIN_READ, minFresh: 7_200 }, 3_600_000).maxAge).toBe(0);
  });

  it('changes nothing without a demand, or if answers never expire', () => {
    expect(optionsFor(PLAIN_READ, 3_600_000)).toBe(PLAIN_READ);
    expect(optionsFor({ ...PLAIN_READ, minFresh: 600 }, null).maxAge).toBe(null);
  });
});
