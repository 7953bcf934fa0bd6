import { describe, expect, it } from 'vitest';
import { type AutoscaleParts, autoscale, type WorkerProcess } from './autoscale.ts';
import { parseRange } from './commands.ts';

interface FakeWorker extends WorkerProcess {
  readonly place: number;
  isTold: boolean;
  /** Whether the worker continues after it was told to end, until the test calls `die`. */
  isSlow: boolean;
  die(reason: string): void;
}

/**
 * Runs an autoscaler whose clock advances only in its pauses.
 * @param each called in each pause
 */
async function run(needs: readonly (number | 'away')[], each: (look: number, living: FakeWorker[]) => void = () => {}) {
  const stop = new AbortController();
  const said: string[] = [];
  const counts: number[] = [];
  let living: FakeWorker[] = [];
  let [now, look, pids] = [0, 0, 100];
  const parts: AutoscaleParts = {
    async look() {
      const need = needs[look] ?? 0;
      if (need === 'away') throw new Error('no answer');
      return need;
    },
    scale: (_now, needed) => Math.min(3, needed),
    start(place) {
      const { promise: exited, resolve } = Promise.withResolvers<string>();
      const die = (reason: string) => {
        living = living.filter((one) => one !== worker);
        resolve(reason);
      };
      const end = () => {
        worker.isTold = true;
        if (!worker.isSlow) die('exit code 0');
      };
      const worker: FakeWorker = { pid: pids++, place, exited, isTold: false, isSlow: false, die, end };
      living.push(worker);
      return worker;
    },
    say: (line) => void said.push(line),
    now: () => now,
    async pause(ms) {
      now += ms;
      counts.push(living.length);
      each(look, living);
      // Lets the exits be reported before the next look.
      await Promise.resolve();
      if (++look >= needs.length) stop.abort();
    },
    signal: stop.signal,
  };
  await autoscale(parts);
  return { said, counts, living };
}

describe('an autoscaler', () => {
  it('runs the needed number of workers, from none to the maximum', async () => {
    const { counts, living } = await run([0, 1, 9, 2, 0]);
    expect(counts).toEqual([0, 1, 3, 2, 0]);
    expect(living).toEqual([]);
  });

  it('replaces a dead worker in its place', async () => {
    const places: number[][] = [];
    const { counts } = await run([2, 2, 2, 2, 2, 2], (look, living) => {
      places.push(living.map(({ place }) => place).toSorted());
      if (look === 4) living.find(({ place }) => place === 0)?.die('ended by SIGKILL');
    });
    expect(counts).toEqual([2, 2, 2, 2, 2, 2]);
    expect(places.at(-1)).toEqual([0, 1]);
  });

  it('continues with the running workers if another cannot start, and retries after a minute', async () => {
    const { counts, said } = await run(Array(20).fill(2), (look, living) => {
      if (look < 14) living.find(({ place }) => place === 1)?.die('exit code 1');
    });
    expect(counts.slice(0, 3)).toEqual([2, 1, 1]);
    expect(counts.slice(12, 16)).toEqual([1, 2, 1, 1]);
    expect(said.filter((line) => line.includes('ended'))).toEqual(
      Array(2).fill('worker 2 ended (exit code 1); 1 still running'),
    );
  });

  it('gives up if no worker can be started', async () => {
    const dying = run(Array(20).fill(1), (_look, living) => living[0]?.die('exit code 1'));
    await expect(dying).rejects.toThrow('no worker could be started in 5 attempts');
  });

  it('keeps its workers while Postgres does not answer, and says so once', async () => {
    const { counts, said } = await run([2, 'away', 'away', 1]);
    expect(counts).toEqual([2, 2, 2, 1]);
    expect(said.filter((line) => line.includes('cannot be read'))).toHaveLength(1);
    expect(said).toContain('Postgres answers again');
  });

  it('counts an ending worker, which keeps its place, until it has ended', async () => {
    const places: number[][] = [];
    const { counts, said } = await run([3, 1, 3, 3, 3, 3], (look, living) => {
      places.push(living.map(({ place }) => place).toSorted());
      if (look === 0) for (const one of living) one.isSlow = one.place === 2;
      if (look === 3) living.find(({ isTold }) => isTold)?.die('exit code 0');
    });
    expect(counts).toEqual([3, 2, 3, 3, 3, 3]);
    expect(places).toEqual(Array.from({ length: 6 }, (_, look) => (look === 1 ? [0, 2] : [0, 1, 2])));
    expect(said.filter((line) => line.includes('exit code'))).toEqual([]);
  });

  it('ends its workers when its signal aborts', async () => {
    const seen = new Set<FakeWorker>();
    await run([3], (_look, living) => {
      for (const one of living) seen.add(one);
    });
    expect([...seen].map(({ isTold }) => isTold)).toEqual([true, true, true]);
  });
});

describe('the range of workers', () => {
  it('is a minimum and a maximum', () => {
    expect(parseRange('0..4')).toEqual({ min: 0, max: 4 });
  });

  it.each(['4', '4..2', '0..0', '0..65', '-1..2', ''])('is not %j', (said) => {
    expect(() => parseRange(said)).toThrow('is not a range of workers');
  });
});
