/** Ends the process when its event loop is blocked: see event-loop-watchdog.ts, which runs beside it. */
import { url as inspectorUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';

export interface WatchdogData {
  /** A counter that the event loop raises at each beat. */
  readonly beats: Int32Array<SharedArrayBuffer>;
  /** The number of the watchdog's turns without a beat after which it ends the process. */
  readonly turns: number;
  readonly turnMs: number;
  /** The name of the program, for the last log line. */
  readonly name: string;
}

const TURN_MS = 1_000;

/**
 * Starts the watchdog.
 * @param limitMs the time after which a blocked process is killed, with `process.stuck` as its last line of standard
 * output
 */
export function watchEventLoop(name: string, limitMs: number): void {
  // A debugger also stops the event loop.
  if (inspectorUrl() !== undefined) return;
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const data: WatchdogData = { beats, name, turnMs: TURN_MS, turns: Math.ceil(limitMs / TURN_MS) };
  const watchdog = new Worker(new URL('./event-loop-watchdog.ts', import.meta.url), {
    workerData: data,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  });
  watchdog.unref();
  setInterval(() => Atomics.add(beats, 0, 1), TURN_MS / 2).unref();
}
