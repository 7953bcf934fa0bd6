import type { Measurement, Setting } from '@tandem/prediction/profile/settings';
import { expect, test } from 'vitest';
import { drawProfile } from './picture.ts';
import { createProfileReport } from './profile-report.ts';

const figures = { p50Ms: 1, cpuMsPerThousand: 10, memoryMb: 100, failed: 0, lost: 0 };
const setting = (version: number, batch: number): Setting => ({ version, batch, processes: 1, threads: 2 });

function draw(versions: readonly number[], target: number | null): string {
  const measured: Measurement[] = versions.flatMap((version) =>
    [1, 8].map((batch) => ({
      ...figures,
      setting: setting(version, batch),
      throughput: 100 * batch,
      p99Ms: 10 * batch,
    })),
  );
  return drawProfile(
    createProfileReport({
      ...{ predictor: 'churn', cores: 2, cpu: 'a CPU', loadBefore: 0, users: 100, target, pricePerCpuHour: null },
      ...{ measured, notMeasured: [], confirmed: [], isCut: false, searched: null },
      ...{ grid: { version: versions, batch: [1, 8], processes: [1], threads: [2] }, current: setting(1, 1) },
      versions: [],
    }),
  );
}

const texts = (svg: string) =>
  [...svg.matchAll(/<text x="([\d.]+)"[^>]*>([^<]*)</g)].map(([, x, text]) => [Number(x), text] as const);

test('the recommended and the current setting are described, and drawn above all points', () => {
  const svg = draw([1], null);
  const names = texts(svg).map(([, text]) => text);
  expect(names).toContain('recommended: batch 8, 1 process, 2 threads each');
  expect(names).toContain('now: batch 1, 1 process, 2 threads each');
  expect(svg.indexOf('>recommended<')).toBeGreaterThan(svg.lastIndexOf('r="4"'));
});

test('a setting that misses the target is marked as nearest, not as recommended', () => {
  const names = texts(draw([1], 5)).map(([, text]) => text);
  expect(names).toContain('nearest, now: batch 1, 1 process, 2 threads each');
  expect(names.join()).not.toContain('recommended');
});

test('the legend of many versions fits into the picture, with one entry for each colour', () => {
  const entries = texts(draw([1, 2, 3, 4, 5, 6, 7, 8], null)).filter(([, text]) => text?.startsWith('version'));
  expect(entries.map(([, text]) => text)).toEqual([
    ...[1, 2, 3, 4].map((version) => `version ${version}`),
    'versions 5, 6, …',
  ]);
  for (const [x] of entries) expect(x).toBeLessThan(850);
});
