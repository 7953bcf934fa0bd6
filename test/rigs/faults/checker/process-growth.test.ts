import { expect, it } from 'vitest';
import { createProcessGrowth } from './process-growth.ts';
import { createViolations } from './violations.ts';

const MB = 1024 * 1024;

function judge(rss: (i: number) => number, descriptors: (i: number) => number, samples = 3_000): readonly string[] {
  const violations = createViolations();
  const growth = createProcessGrowth(violations);
  for (let i = 0; i < samples; i++) {
    const sample = { kind: 'process', at: i, ended: i, name: 'api 1', pid: 7, cpuMs: 0 } as const;
    growth.take({ ...sample, rss: rss(i), descriptors: descriptors(i) });
  }
  growth.finish();
  return violations.first.map(({ why }) => why);
}

it('accepts a process that warms up and then varies', () => {
  expect(
    judge(
      (i) => (i < 600 ? i * 0.3 : 180 + (i % 40)) * MB,
      (i) => 30 + (i % 7),
    ),
  ).toEqual([]);
});

it('finds memory that grows steadily, and descriptors that are never closed', () => {
  expect(
    judge(
      (i) => (150 + i * 0.1) * MB,
      () => 30,
    ),
  ).toEqual(['api 1: memory']);
  expect(
    judge(
      () => 150 * MB,
      (i) => 30 + i / 10,
    ),
  ).toEqual(['api 1: descriptors']);
});

it('does not judge a process with few samples', () => {
  expect(
    judge(
      (i) => i * 100 * MB,
      (i) => i * 100,
      20,
    ),
  ).toEqual([]);
});
