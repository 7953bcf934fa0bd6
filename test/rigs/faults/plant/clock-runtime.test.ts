import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const HOUR = 3_600_000;
const PRELOAD = new URL('./preload.ts', import.meta.url);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-clock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const TELL = `console.log(JSON.stringify([Date.now(), +new Date(), +new Date(5), new Date() instanceof Date,
  Math.round(performance.timeOrigin + performance.now())]))`;

function tellIn(clock: string): readonly [number, number, number, boolean, number] {
  const preload = new URL(PRELOAD);
  preload.searchParams.set('clock', clock);
  return JSON.parse(execFileSync(process.execPath, ['--import', preload.href, '-e', TELL], { encoding: 'utf8' }));
}

it("moves a child's time of day by the milliseconds in the file, and no monotonic clock", () => {
  const file = join(folder, 'clock');
  writeFileSync(file, String(HOUR));
  const [now, made, given, isDate, monotonic] = tellIn(file);
  // Compared to the minute, because a process takes time to start.
  expect(Math.round((now - monotonic) / 60_000)).toBe(60);
  expect(Math.round((made - monotonic) / 60_000)).toBe(60);
  expect([given, isDate]).toEqual([5, true]);
});

it('does not move the time of day without a file', () => {
  const [now, , , , monotonic] = tellIn(join(folder, 'none'));
  expect(Math.abs(now - monotonic)).toBeLessThan(60_000);
});
