import { expect } from 'vitest';
import type { Exploration } from './checker/explore.ts';
import { CONTROLS, type Control } from './controls.ts';

/** Controls whose violation takes more than a second of CPU to find. `npm run test:long` explores them. */
const LARGE: ReadonlySet<string> = new Set(['M11', 'M12', 'L3']);

const broken = CONTROLS.filter(({ isHarmless }) => !isHarmless);
export const SMALL_CONTROLS: readonly Control[] = broken.filter(({ id }) => !LARGE.has(id));
export const LARGE_CONTROLS: readonly Control[] = broken.filter(({ id }) => LARGE.has(id));

/** Expects that the exploration of a negative control found a broken invariant, with a trace. */
export function expectFound({ violation }: Exploration): void {
  expect(violation?.what).toMatch(/^(I\d+:|stuck:|window:)/);
  expect(violation?.trace.length).toBeGreaterThan(1);
}
