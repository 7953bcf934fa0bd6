/**
 * The runtime of failpoints. failpoints.ts plants calls such as `await failpoint('event.after_commit')`. A file arms
 * failpoints while the process runs. Each action is recorded next to that file before it happens, so that the same
 * order does not kill a restarted process again.
 */
import { appendFileSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * The action of a failpoint:
 * - `kill9`, `stop`: the process sends itself SIGKILL or SIGSTOP
 * - `pause`: the step takes `ms` longer
 * - `throw`: the step fails
 * - `hang`: the step never ends
 */
export type FailpointAction = 'kill9' | 'stop' | 'pause' | 'throw' | 'hang';

export interface ArmedPoint {
  /** Distinguishes two orders for one failpoint. */
  readonly id: string;
  readonly name: string;
  readonly action: FailpointAction;
  /** The length of a pause. */
  readonly ms: number;
  /** The first hit at which it fires, counted from 1 in each process since it was armed. */
  readonly hit: number;
  /** After the first, it fires at every nth hit. */
  readonly every: number;
  /** How often it fires in all processes that read the file. */
  readonly times: number;
}

/** The interval at which the file is read. An order takes effect within this time. */
const LOOK_EVERY_MS = 20;

declare global {
  var failpoint: (name: string) => Promise<void> | undefined;
}

export function installFailpoints(file: string): void {
  let points: readonly ArmedPoint[] = [];
  let seen = '';
  let lookAgainAt = 0;
  const hits = new Map<string, number>();

  function look(): void {
    const now = performance.now();
    if (now < lookAgainAt) return;
    lookAgainAt = now + LOOK_EVERY_MS;
    const stat = statSync(file, { throwIfNoEntry: false });
    const state = stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : '';
    if (state === seen) return;
    seen = state;
    points = stat ? (JSON.parse(readFileSync(file, 'utf8')) as ArmedPoint[]) : [];
  }

  globalThis.failpoint = (name) => {
    look();
    if (points.length === 0) return undefined;
    const point = points.find((one) => one.name === name && isDue(one));
    if (!point) return undefined;
    appendFileSync(firedFile(file), `${point.id} ${process.pid} ${name}\n`);
    return act(point);
  };

  function isDue({ id, hit, every, times }: ArmedPoint): boolean {
    const count = (hits.get(id) ?? 0) + 1;
    hits.set(id, count);
    if (count < hit || (count - hit) % every !== 0) return false;
    return countFired(file, id) < times;
  }
}

export function firedFile(pointsFile: string): string {
  return `${pointsFile}.fired`;
}

/** Returns how often the order was carried out. */
export function countFired(pointsFile: string, id: string): number {
  try {
    const lines = readFileSync(firedFile(pointsFile), 'utf8').split('\n');
    return lines.filter((line) => line.startsWith(`${id} `)).length;
  } catch {
    return 0;
  }
}

async function act({ name, action, ms }: ArmedPoint): Promise<void> {
  switch (action) {
    case 'kill9':
      process.kill(process.pid, 'SIGKILL');
      return forEver();
    case 'stop':
      process.kill(process.pid, 'SIGSTOP');
      return;
    case 'pause':
      await sleep(ms);
      return;
    case 'throw':
      throw new Error(`the failpoint ${name} fails`);
    case 'hang':
      return forEver();
  }
}

function forEver(): Promise<never> {
  return new Promise(() => {});
}
