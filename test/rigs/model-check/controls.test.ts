import { describe, expect, it } from 'vitest';
import { expectFound, SMALL_CONTROLS } from './controls.fixture.ts';
import { CONTROLS } from './controls.ts';

/** The time limit allows for a busy machine. The longest exploration takes some seconds. */
const ENDS_WITHIN_MS = 300_000;

describe('the negative controls', () => {
  it.each(SMALL_CONTROLS)('finds $id: $breaks', { timeout: ENDS_WITHIN_MS }, ({ explore: look }) =>
    expectFound(look()),
  );

  it('finds no violation of a version in Redis without faults, so this design passes ordinary tests', () => {
    const harmless = CONTROLS.filter((control) => control.isHarmless);
    expect(harmless.map(({ id }) => id)).toEqual(['N5']);
    for (const control of harmless) expect(control.explore()).toMatchObject({ violation: null, isComplete: true });
  });

  it('include all controls that the protocol names', () => {
    const named = [...Array.from({ length: 12 }, (_, i) => `N${i + 1}`), 'Q1', 'Q3'];
    expect(CONTROLS.map(({ id }) => id)).toEqual(expect.arrayContaining(named));
  });
});
