/**
 * Tests of the report on the simulated feed, in which minutes count. It must find the values that the simulator knows.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Estimate } from '@tandem/experiment/estimates/user-bootstrap';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../../../apps/cli/program.fixture.ts';
import { feedHistory } from '../../../../apps/feed/feed-history.ts';
import { trueGain } from '../../../../apps/feed/truth.fixture.ts';
import type { ValueReport } from '../value-report.ts';

let folder: string;
let report: ValueReport & { readonly conclusions: readonly string[]; readonly picture: string };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem feed-'));
  await writeFile(join(folder, 'h.ndjson'), [...feedHistory({ seed: 1 })].join('\n'));
  const config = fileURLToPath(new URL('../../../../apps/feed/', import.meta.url));
  const { out, err } = await run(['value', 'offer', '--config', config, '--history', 'h.ndjson', '--json'], {
    cwd: folder,
  });
  expect(err).toBe('');
  report = JSON.parse(out);
});
afterAll(() => rm(folder, { recursive: true }));

/** The seeds of 20 other populations, which have about a million reads together. */
const SEEDS = Array.from({ length: 20 }, (_, i) => 5_001 + i);

test.each([0, 1, 2, 3])('the interval of the gain contains the true gain of the process, cadence %#', (i) => {
  const { cadenceMs, change, verdict } = report.gains[i] ?? { cadenceMs: 0, change: undefined, verdict: 'none' };
  const truth = trueGain(cadenceMs, SEEDS);
  expect(verdict).toBe('gain');
  expect(change?.low).toBeLessThan(truth);
  expect(change?.high).toBeGreaterThan(truth);
  // The interval must be narrow enough: at most a fifth of the gain to either side.
  expect(width(change)).toBeLessThan(0.4 * truth);
});

test('a context of ten minutes costs as much as one of a week, and one of a minute costs less', () => {
  const costs = new Map(report.batchByAge.map(({ fromMs, againstLive }) => [fromMs / 60_000, againstLive]));
  const [first, minutes, hour, day] = [0, 1, 10, 1_440].map((from) => costs.get(from)?.value ?? Number.NaN);
  expect(first).toBeGreaterThan(minutes ?? 0);
  expect(minutes).toBeGreaterThan(hour ?? 0);
  expect(hour).toBeCloseTo(day ?? 0, 2);
  expect(costs.get(1)?.high).toBeLessThan(0);
});

test('all output says that the history is simulated', async () => {
  expect(report.simulated).toBe(true);
  expect(report.conclusions[0]).toMatch(/^A significant gain: on this simulated history/);
  expect(await readFile(report.picture, 'utf8')).toContain('offer (simulated data)');
});

function width(estimate: Estimate | undefined): number {
  return estimate ? estimate.high - estimate.low : Number.NaN;
}
