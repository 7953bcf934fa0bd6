/** Arms failpoints of a program while it runs, and tells when they fired; see plant/failpoints.ts for their names. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { until } from '../../../e2e/until.fixture.ts';
import { type ArmedPoint, countFired, type FailpointAction } from '../plant/failpoint-runtime.ts';
import { failpointNames } from '../plant/failpoints.ts';

export interface FailpointOrder {
  /** Of a pause; default 100. */
  readonly ms?: number;
  /** The first hit that it fires at, counted from 1 in each process; default 1. */
  readonly hit?: number;
  /** From there at every hit of so many; default 1. */
  readonly every?: number;
  /** How often it fires in all, also over restarts; default 1. */
  readonly times?: number;
}

export interface ArmedFailpoint {
  fired(): number;
  /** Resolves when it has fired that often; rejects after the time. */
  whenFired(times?: number, withinMs?: number): Promise<void>;
  disarm(): void;
}

export interface Failpoints {
  /** Throws where there is no failpoint of that name. */
  arm(name: string, action: FailpointAction, order?: FailpointOrder): ArmedFailpoint;
  disarmAll(): void;
}

export function createFailpoints(file: string): Failpoints {
  let points: readonly ArmedPoint[] = [];
  let orders = 0;

  /** By renaming: a process reads the whole of it, or the one before. */
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
        throw new Error(`there is no failpoint ${name}; there are ${failpointNames.join(', ')}`);
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
