/** The scopes of the model check that are too large for `npm test`; what is larger still is explored by main.ts. */
import { describe, expect, it } from 'vitest';
import { MEDIUM } from './checks.ts';

describe('the protocol', () => {
  it.each(MEDIUM)('holds in every interleaving: $name ($scope)', ({ explore }) => {
    const { violation, isComplete } = explore();
    expect(violation).toBeNull();
    expect(isComplete).toBe(true);
  });
});
