import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Measured } from './measure.ts';
import { type PeersReport, renderFigures, replaceFigures } from './report.ts';

const ROUNDS = [1, 1.01, 0.99, 1.02, 0.98, 1.03, 0.97, 1.04, 0.96];

/** Makes nine rounds around these figures. */
function rounds(requestsPerSecond: number, cpuMicros: number): Measured[] {
  return ROUNDS.map((factor) => ({
    ...{ requestsPerSecond: requestsPerSecond * factor, p50Ms: 1, p99Ms: 2 },
    ...{ cpuMicros, storeMicros: 30 },
  }));
}

function reportOf(way: string, rate: number, cpu: number, extra: Partial<PeersReport> = {}): PeersReport {
  const ways = [
    { name: 'Tandem', rounds: rounds(30_000, 30) },
    { name: way, rounds: rounds(rate, cpu).reverse() },
  ];
  const comparison = { title: '64 connections, each user as likely as any other', connections: 64, ways };
  const memoryMb = { Tandem: 180.4, FastAPI: 92 };
  return {
    ...{ date: '2026-11-29T10:00:00Z', commit: '0123456789abcdef', python: '3.11.7' },
    machine: { cpu: 'CPU', cores: 2, memoryMb: 24_576, node: 'v24', postgres: '18', redis: '7', loadAtStart: 0.1 },
    options: { users: 100_000, rounds: 9, seconds: 2 },
    versions: { FastAPI: ['fastapi 1.2.3'] },
    contests: [{ kind: 'stored', workers: 1, comparisons: [comparison], failures: [], memoryMb }],
    leftOut: [],
    ...extra,
  };
}

it('calls a goal reached if the whole interval is above it, missed if it is below, and otherwise undecided', () => {
  const [rate, cpu] = goalsOf(reportOf('FastAPI + Redis', 4_000, 210));
  expect(rate).toMatch(/7\.5 × \(7\.28 to 7\.72\) +\| +≥ 6 +\| +reached/);
  expect(cpu).toMatch(/7 × \(7 to 7\) +\| +≥ 6 +\| +reached/);
  expect(goalsOf(reportOf('FastAPI + Redis', 6_000, 150))).toEqual([
    expect.stringMatching(/5 × .*\*\*missed\*\*/),
    expect.stringMatching(/5 × .*\*\*missed\*\*/),
  ]);
  expect(goalsOf(reportOf('FastAPI + Redis', 5_000, 150))[0]).toContain('undecided');
});

it('shows the comparisons that Tandem loses and those that it wins', () => {
  const text = renderFigures(reportOf('FastAPI + Redis', 60_000, 15));
  expect(text).toMatch(/\| FastAPI \+ Redis +\| +60,000 \|.*\| +0\.5 × .*\| +0\.5 × /);
});

it('names the machine, the versions, the memory, and missing measurements', () => {
  const text = renderFigures(reportOf('FastAPI + Redis', 4_000, 210, { leftOut: ['Ray Serve, which needs memory'] }));
  for (const said of [
    'CPU, 2 cores, 24 GB',
    'Python 3.11.7',
    'fastapi 1.2.3',
    'Tandem 180 MB',
    'Not measured: Ray Serve',
  ])
    expect(text).toContain(said);
});

it('replaces the text between the markers of docs/peers.md, and nothing else', () => {
  const document = readFileSync(join(import.meta.dirname, '../../../docs/peers.md'), 'utf8');
  const once = replaceFigures(document, reportOf('FastAPI + Redis', 4_000, 210));
  const twice = replaceFigures(once, reportOf('FastAPI + Redis', 5_000, 210));
  expect(once.split('<!--')[0]).toBe(document.split('<!--')[0]);
  expect(once.split('-->').at(-1)).toBe(document.split('-->').at(-1));
  expect(twice).toContain('5,000');
  expect(twice).not.toContain('4,000');
  expect(() => replaceFigures('# Peers\n', reportOf('FastAPI + Redis', 4_000, 210))).toThrow(
    'docs/peers.md has no lines',
  );
});

function goalsOf(report: PeersReport): string[] {
  const text = renderFigures(report);
  return text
    .slice(text.indexOf('### Goals'), text.indexOf('### Stored'))
    .split('\n')
    .filter((line) => line.includes('FastAPI'));
}
