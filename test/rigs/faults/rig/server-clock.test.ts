import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { buildClockShim, createServerClock, type ServerClock, whyNoServerClocks } from './server-clock.ts';

const run = promisify(execFile);
const hasClocks = (await whyNoServerClocks()) === null;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-clock-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Runs an ordinary program and returns its time of day and its monotonic clock, in milliseconds. */
async function tellTimes({ environment }: ServerClock): Promise<readonly [number, number]> {
  const script = 'process.stdout.write([Date.now(), process.hrtime.bigint() / 1_000_000n].join(" "))';
  const { stdout } = await run(process.execPath, ['-e', script], { env: environment });
  const [time = 0, monotonic = 0] = stdout.split(' ').map(Number);
  return [time, monotonic];
}

it.runIf(hasClocks)('moves the time of day of a program back and forth, and no monotonic clock', async () => {
  const clock = await createServerClock(await buildClockShim(folder), join(folder, 'clock'));
  for (const aheadMs of [0, 3_600_000, -3_600_000, -1_500, 0]) {
    await clock.setClock(aheadMs);
    const [before, monotonicBefore] = [Date.now(), Number(process.hrtime.bigint() / 1_000_000n)];
    const [time, monotonic] = await tellTimes(clock);
    const [after, monotonicAfter] = [Date.now(), Number(process.hrtime.bigint() / 1_000_000n)];
    expect(time - aheadMs).toBeGreaterThanOrEqual(before);
    expect(time - aheadMs).toBeLessThanOrEqual(after);
    expect(monotonic).toBeGreaterThanOrEqual(monotonicBefore);
    expect(monotonic).toBeLessThanOrEqual(monotonicAfter);
  }
});

it.runIf(hasClocks)('moves the time of day of a program while it runs', async () => {
  const clock = await createServerClock(await buildClockShim(folder), join(folder, 'clock'));
  const child = execFile(process.execPath, ['-e', "process.stdin.on('data', () => console.log(Date.now()))"], {
    env: clock.environment,
  });
  const ask = async () => {
    const said = new Promise<string>((resolve) => child.stdout?.once('data', resolve));
    child.stdin?.write('.');
    return Number(await said);
  };
  const first = await ask();
  await clock.setClock(-3_600_000);
  expect(Math.round((first - (await ask())) / 60_000)).toBe(60);
  child.stdin?.end();
});
