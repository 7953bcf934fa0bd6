/** Like `hostile-defaults.integration.test.ts`, but with one setting at a time, so that a failure names the setting. */
import { HOSTILE_DEFAULTS } from '@tandem/offline-store/hostile-defaults.fixture';
import { beforeAll, expect, test } from 'vitest';
import { type Outcome, tellStory } from './hostile-defaults.fixture.ts';

let expected: Outcome;
beforeAll(async () => {
  expected = await tellStory({ name: 'none', settings: {} });
});

test.each(Object.values(HOSTILE_DEFAULTS).flat())('answers are the same with $name', async (defaults) => {
  expect(await tellStory(defaults)).toEqual(expected);
});
