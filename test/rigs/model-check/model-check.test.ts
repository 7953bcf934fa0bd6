import { describe, expect, it } from 'vitest';
import { explore } from './checker/explore.ts';
import { type Model, step } from './checker/model.ts';
import { SMALL } from './checks.ts';

/** The time limit allows for a busy machine. The longest exploration takes some seconds. */
const ENDS_WITHIN_MS = 300_000;

describe('the protocol', () => {
  it.each(SMALL)('holds in every interleaving: $name ($scope)', { timeout: ENDS_WITHIN_MS }, ({ explore: look }) => {
    const { violation, isComplete, states } = look();
    expect(violation).toBeNull();
    expect(isComplete).toBe(true);
    expect(states).toBeGreaterThan(50);
  });
});

describe('the checker', () => {
  interface Counters {
    a: number;
    b: number;
  }
  const counters = (most: number, more: Partial<Model<Counters>> = {}): Model<Counters> => ({
    name: 'two counters',
    initial: { a: 0, b: 0 },
    *steps(state) {
      if (state.a < most) yield step(state, 'a rises', (draft) => void draft.a++);
      if (state.b < most) yield step(state, 'b rises', (draft) => void draft.b++);
    },
    violation: () => null,
    ...more,
  });

  it('visits every state once, and takes every step of each state', () => {
    expect(explore(counters(300))).toMatchObject({
      states: 301 * 301,
      transitions: 2 * 300 * 301,
      depth: 600,
      isComplete: true,
    });
  });

  it('visits states once that differ only in interchangeable parts', () => {
    const canonical = ({ a, b }: Counters) => ({ a: Math.min(a, b), b: Math.max(a, b) });
    expect(explore(counters(9, { canonical })).states).toBe((10 * 11) / 2);
  });

  it('reports the shortest trace to a violation', () => {
    const violation = ({ a, b }: Counters) => (a === 2 && b === 1 ? 'two and one' : null);
    const found = explore(counters(5, { violation })).violation;
    expect(found?.what).toBe('two and one');
    expect(found?.trace.toSorted()).toEqual(['a rises', 'a rises', 'b rises']);
  });

  it('reports a state from which no settled state can be reached', () => {
    // After b has risen, no state with b = 0 can be reached.
    const found = explore(counters(2, { isSettled: ({ a, b }) => a === 2 && b === 0 })).violation;
    expect(found).toMatchObject({ what: expect.stringContaining('stuck'), trace: ['b rises'] });
  });

  it('reports that an exploration is incomplete', () => {
    expect(explore(counters(300), { maxStates: 1_000 })).toMatchObject({ isComplete: false, violation: null });
  });
});
