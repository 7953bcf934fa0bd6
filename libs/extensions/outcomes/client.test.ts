import { expect, test } from 'vitest';
import { MAX_OUTCOMES as MOST_SENT } from './client.ts';
import { MAX_OUTCOMES } from './wire.ts';

test('a call may send as many outcomes as the service accepts', () => {
  expect(MOST_SENT).toBe(MAX_OUTCOMES);
});
