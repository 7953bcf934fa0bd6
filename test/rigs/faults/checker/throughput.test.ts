import { describe, expect, it } from 'vitest';
import type { Operation } from '../history.ts';
import { createThroughput } from './throughput.ts';
import { createViolations } from './violations.ts';
import { fault, read } from './written-history.fixture.ts';

/** @param rate the number of good answers in the nth second */
function judge(rate: (second: number) => number, others: readonly Operation[]) {
  const violations = createViolations();
  const throughput = createThroughput(violations);
  const reads = Array.from({ length: 60 }, (_, second) =>
    Array.from({ length: rate(second) }, (_, i) => read(second * 1_000 + (i * 900) / rate(second), {})),
  ).flat();
  for (const operation of [...reads, ...others].toSorted((a, b) => a.ended - b.ended)) throughput.take(operation);
  throughput.finish();
  return { recoveries: throughput.recoveries, rules: violations.first.map(({ rule }) => rule) };
}

const oneFault = [fault(20_100, 'begins'), fault(25_100, 'over')];

it('measures the time until the rate is back', () => {
  const { recoveries, rules } = judge((second) => (second < 20 || second >= 29 ? 100 : 10), oneFault);
  expect(recoveries).toEqual([
    { fault: 'a fault', id: '1', before: 100, backAfterMs: expect.closeTo(3_900, 0), isOvertaken: false },
  ]);
  expect(rules).toEqual([]);
});

it('finds a rate that does not come back within the bound', () => {
  const { recoveries, rules } = judge((second) => (second < 20 || second >= 45 ? 100 : 10), oneFault);
  expect(recoveries).toMatchObject([{ backAfterMs: null }]);
  expect(rules).toEqual(['throughput not back']);
});

describe('on a busy machine', () => {
  /** Makes samples of an API that runs for 100 ms in each second and waits for a CPU for the given ms. */
  function samples(waitedMs: (second: number) => number): readonly Operation[] {
    const main = { ranMs: 0, waitedMs: 0 };
    return Array.from({ length: 60 }, (_, second) => {
      main.ranMs += 100;
      main.waitedMs += waitedMs(second);
      const at = second * 1_000 + 950;
      const held = { rss: 1, descriptors: 1, cpuMs: 0 };
      return { kind: 'process', name: 'api 1', pid: 1, at, ended: at, ...held, main: { ...main } };
    });
  }

  it('lowers the expected rate by the share of CPU that the APIs lost, and no further', () => {
    const starved = samples((second) => (second < 20 ? 0 : 400));
    expect(judge((second) => (second < 20 ? 100 : 11), [...oneFault, ...starved]).rules).toEqual([]);
    expect(judge((second) => (second < 20 ? 100 : 9), [...oneFault, ...starved]).rules).toEqual([
      'throughput not back',
    ]);
  });

  it('does not lower the expected rate if the machine was as busy before the fault', () => {
    const busy = samples(() => 400);
    expect(judge((second) => (second < 20 ? 100 : 40), [...oneFault, ...busy]).rules).toEqual(['throughput not back']);
  });
});

it('measures from the end of the last of overlapping faults', () => {
  const second = [fault(23_000, 'begins', { id: '2' }), fault(30_100, 'over', { id: '2' })];
  const { recoveries, rules } = judge((at) => (at < 20 || at >= 33 ? 100 : 10), [...oneFault, ...second]);
  expect(recoveries).toMatchObject([{ id: '2', before: 100 }]);
  expect(rules).toEqual([]);
});

it('marks a fault as overtaken if the next fault came before the rate was back', () => {
  const next = [fault(27_000, 'begins', { id: '2' }), fault(30_100, 'over', { id: '2' })];
  const { recoveries } = judge((at) => (at < 20 || at >= 33 ? 100 : 10), [...oneFault, ...next]);
  expect(recoveries).toMatchObject([
    { id: '1', backAfterMs: null, isOvertaken: true },
    { id: '2', isOvertaken: false },
  ]);
});

it('expects no rate after the load has stopped', () => {
  const { recoveries, rules } = judge((at) => (at < 20 ? 100 : at < 28 ? 10 : 0), oneFault);
  expect(recoveries).toMatchObject([{ backAfterMs: null, isOvertaken: true }]);
  expect(rules).toEqual([]);
});

it('does not measure a fault without a known rate before it', () => {
  expect(judge(() => 10, [fault(1_000, 'begins'), fault(2_000, 'over')]).recoveries).toEqual([]);
});
