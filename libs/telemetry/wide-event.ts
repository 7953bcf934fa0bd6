/**
 * One event for each request or job, written at its end with all its fields. All facts are in one line, so a query can
 * combine any fields.
 */
import type { EventName, Log, LogFields, LogLevel } from './log.ts';

export interface WideEvent {
  /**
   * Adds fields. A later value of a name replaces an earlier one. Ignored after the end. Fields are read only when the
   * line is written, which most events never are, so an expensive value may be a getter.
   */
  add(fields: LogFields): void;
  /** Returns the value last added under this name. */
  fact(name: string): unknown;
  /** Adds to a count, from 0. */
  count(name: string, by?: number): void;
  /** Marks the event to be written even if only a share of such events is written. */
  markNotable(): void;
  readonly isNotable: boolean;
  /** Runs a part and adds its duration as `<name>Ms`, also if it throws. */
  timed<T>(name: string, part: () => Promise<T>): Promise<T>;
  /**
   * Writes the line, with the given `level`; by default `error` if an error is given, else `info`. Later calls are
   * ignored.
   * @returns the duration in ms
   */
  end(outcome?: { error?: unknown; level?: LogLevel }): number;
}

interface WideEventOptions {
  readonly log: Log;
  /** Returns the milliseconds of a monotonic clock. */
  readonly clock?: () => number;
}

/** Starts an event; `durationMs` counts from here. */
export function startWideEvent(
  name: EventName,
  fields: LogFields,
  { log, clock = monotonic }: WideEventOptions,
): WideEvent {
  return new EventUnderWay(name, fields, log, clock);
}

const monotonic = () => performance.now();

/**
 * A class that combines the fields at the end, since most events of a busy service are never written and must be cheap.
 */
class EventUnderWay implements WideEvent {
  readonly #name: EventName;
  readonly #log: Log;
  readonly #clock: () => number;
  readonly #startedAt: number;
  readonly #facts: LogFields[];
  #counts: Record<string, number> | undefined;
  #durationMs: number | undefined;
  #isNotable = false;

  constructor(name: EventName, fields: LogFields, log: Log, clock: () => number) {
    this.#name = name;
    this.#log = log;
    this.#clock = clock;
    this.#facts = [fields];
    this.#startedAt = clock();
  }

  add(fields: LogFields): void {
    if (this.#durationMs === undefined) this.#facts.push(fields);
  }

  fact(name: string): unknown {
    return this.#facts.findLast((facts) => name in facts)?.[name];
  }

  count(name: string, by = 1): void {
    this.#counts ??= {};
    const sum = (this.#counts[name] ?? 0) + by;
    this.#counts[name] = sum;
    this.add({ [name]: sum });
  }

  markNotable(): void {
    this.#isNotable = true;
  }

  get isNotable(): boolean {
    return this.#isNotable;
  }

  async timed<T>(name: string, part: () => Promise<T>): Promise<T> {
    const from = this.#clock();
    try {
      return await part();
    } finally {
      this.add({ [`${name}Ms`]: this.#since(from) });
    }
  }

  end({ error, level = error === undefined ? 'info' : 'error' }: { error?: unknown; level?: LogLevel } = {}): number {
    if (this.#durationMs !== undefined) return this.#durationMs;
    if (error !== undefined) this.add({ error });
    const durationMs = this.#since(this.#startedAt);
    this.#durationMs = durationMs;
    this.#log[level](this.#name, Object.assign({}, ...this.#facts, { durationMs }));
    return durationMs;
  }

  #since(moment: number): number {
    return Math.round((this.#clock() - moment) * 1000) / 1000;
  }
}
