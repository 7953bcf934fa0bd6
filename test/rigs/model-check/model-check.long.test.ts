/** The scopes and negative controls that are too large for `npm test`; main.ts explores still larger scopes. */
import { describe, expect, it } from 'vitest';
import { MEDIUM } from './checks.ts';
import { expectFound, LARGE_CONTROLS } from './controls.fixture.ts';

describe('the protocol', () => {
  it.each(MEDIUM)('holds in every interleaving: $name ($scope)', ({ explore }) => {
    const { violation, isComplete } = explore();
    expect(violation).toBeNull();
    expect(isComplete).toBe(true);
  });
});

describe('the negative controls', () => {
  it.each(LARGE_CONTROLS)('finds $id: $breaks', ({ explore }) => expectFound(explore()));
});
