/** Arms failpoints of a running program, and reports when they fired. plant/failpoints.ts has their names. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { until } from '../../../e2e/until.fixture.ts';
import { type ArmedPoint, countFired, type FailpointAction } from '../plant/failpoint-runtime.ts';
import { failpointNames } from '../plant/failpoints.ts';

export interface FailpointOrder {
  /** The length of a pause in ms; default 100. */
  readonly ms?: number;
  /** The first hit at which the failpoint fires, counted from 1 in each process; default 1. */
  readonly hit?: number;
  /** After that, the failpoint fires at every nth hit; default 1. */
  readonly every?: number;
  /** The number of times that the failpoint fires, over all restarts; default 1. */
  readonly times?: number;
}

export interface ArmedFailpoint {
  fired(): number;
  /** Resolves when the failpoint has fired `times` times. Rejects after `withinMs`. */
  whenFired(times?: number, withinMs?: number): Promise<void>;
  disarm(): void;
}

export interface Failpoints {
  /** Throws if no failpoint has that name. */
  arm(name: string, action: FailpointAction, order?: FailpointOrder): ArmedFailpoint;
  disarmAll(): void;
}

export function createFailpoints(file: string): Failpoints {
  let points: readonly ArmedPoint[] = [];
  let orders = 0;

  /** Replaces the file by renaming, so that a process reads either the whole new file or the old one. */
  function write(changed: readonly ArmedPoint[]): void {
    points = changed;
    if (points.length === 0) {
      rmSync(file, { force: true });
      return;
    }
    writeFileSync(`${file}.new`, JSON.stringify(points));
    renameSync(`${file}.new`, file);
  }

  return {
    arm(name, action, { ms = 100, hit = 1, every = 1, times = 1 } = {}) {
      if (!failpointNames.includes(name)) {
        throw new Error(`there is no failpoint ${name}; choose from ${failpointNames.join(', ')}`);
      }
      const id = `${++orders}`;
      write([...points, { id, name, action, ms, hit, every, times }]);
      const fired = () => countFired(file, id);
      return {
        fired,
        whenFired: async (often = times, withinMs) =>
          void (await until(`${name} fires`, () => fired() >= often, withinMs)),
        disarm: () => write(points.filter((point) => point.id !== id)),
      };
    },
    disarmAll: () => write([]),
  };
}
