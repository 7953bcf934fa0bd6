import { expect, it } from 'vitest';
import { ofPsTime, readCpuMs } from './process-usage.ts';

it('reads the CPU time that the process itself measures', async () => {
  const usedSince = (begin: NodeJS.CpuUsage) => {
    const { user, system } = process.cpuUsage(begin);
    return (user + system) / 1000;
  };
  // Other threads use CPU during the reads, so the difference of the reads is between two measurements.
  const outer = process.cpuUsage();
  const before = await readCpuMs(process.pid);
  const inner = process.cpuUsage();
  while (usedSince(inner) < 300);
  const least = usedSince(inner);
  const after = await readCpuMs(process.pid);
  const most = usedSince(outer);
  const read = (after ?? Number.NaN) - (before ?? Number.NaN);
  expect(read).toBeGreaterThan(least - 50);
  expect(read).toBeLessThan(most + 50);
});

it('returns nothing for a process that does not exist', async () => {
  // 2 ** 30 is above the largest process id of Linux and of macOS.
  expect(await readCpuMs(2 ** 30)).toBeNull();
});

it.each([
  ['  0:03.45\n', 3_450],
  ['12:34.00', 754_000],
  ['01:02:03', 3_723_000],
  ['1-02:03:04', 93_784_000],
  ['', null],
  ['TIME', null],
])('reads %j of ps', (text, ms) => {
  expect(ofPsTime(text)).toBe(ms);
});
