import { MAX_OUTCOMES } from '@tandem/wire/outcomes';
import { expect, test } from 'vitest';
import { MAX_OUTCOMES as MOST_SENT } from './outcomes.ts';

test('a call may send as many outcomes as the service accepts', () => {
  expect(MOST_SENT).toBe(MAX_OUTCOMES);
});
