/** One negative control of `npm run test:faults -- --controls`, on real processes; checker/checker.test.ts has the checker alone. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findControls } from './plant/controls/catalogue.ts';
import { tryControl } from './try-controls.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-faults-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('catches a mistake that is planted: predictions stamped when they are completed', async () => {
  const [control] = findControls(['N1']);
  if (control === undefined) throw new Error('the control is gone');
  const options = { seed: 20, folder, withinMs: 60_000, soundMs: 0, apis: 1, workers: 1, say: () => {} };
  expect(await tryControl(control, options)).toMatchObject({ caughtBy: 'stale called fresh' });
});
