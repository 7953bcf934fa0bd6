/**
 * One event for each request or job, with all that is known of it when it ends: a reader finds everything in one line,
 * and a query can ask for any combination of fields.
 */
import type { EventName, Log, LogFields, LogLevel } from './log.ts';

export interface WideEvent {
  /** Adds facts; a later value of a name replaces an earlier one. Ignored after the end. */
  add(fields: LogFields): void;
  /** Adds to a count, from 0. */
  count(name: string, by?: number): void;
  /** Runs a part and adds how long it took as `<name>Ms`, also where it throws. */
  timed<T>(name: string, part: () => Promise<T>): Promise<T>;
  /**
   * Writes the line: `info`, or `error` where an error is given, or as `level` says. Only the first call does.
   * @returns the duration in ms
   */
  end(outcome?: { error?: unknown; level?: LogLevel }): number;
}

export interface WideEventOptions {
  readonly log: Log;
  /** Milliseconds that only go forward. */
  readonly clock?: () => number;
}

/** Starts an event; `durationMs` counts from here. */
export function startWideEvent(
  name: EventName,
  fields: LogFields,
  { log, clock = () => performance.now() }: WideEventOptions,
): WideEvent {
  const startedAt = clock();
  const facts: Record<string, unknown> = { ...fields };
  let durationMs: number | undefined;

  const add = (more: LogFields) => {
    if (durationMs === undefined) Object.assign(facts, more);
  };
  const since = (moment: number) => Math.round((clock() - moment) * 1000) / 1000;

  return {
    add,
    count: (counter, by = 1) => add({ [counter]: Number(facts[counter] ?? 0) + by }),
    async timed(part, run) {
      const from = clock();
      try {
        return await run();
      } finally {
        add({ [`${part}Ms`]: since(from) });
      }
    },
    end({ error, level = error === undefined ? 'info' : 'error' } = {}) {
      if (durationMs !== undefined) return durationMs;
      if (error !== undefined) add({ error });
      durationMs = since(startedAt);
      log[level](name, { ...facts, durationMs });
      return durationMs;
    },
  };
}
