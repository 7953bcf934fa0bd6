/** Tracks the faults that are active while a line of the history is judged, and which outcomes they excuse. */
import type { Fault } from '../history.ts';

export interface FaultWindows {
  take(fault: Fault): void;
  /** Returns whether any fault was active at some moment from `at` until now, or shortly before `at`. */
  touched(at: number): boolean;
  /** Returns whether a call to that API may hang. */
  mayHang(api: string, at: number): boolean;
  /** Returns whether no API could reach Postgres at any moment from `at` until now. */
  isPostgresCut(at: number): boolean;
  /** Returns the moment from which acknowledgements count, or Infinity while a fault may lose more commits. */
  historyCountsFrom(): number;
  /** Returns whether a fault ever lost history. */
  isHistoryLost(): boolean;
  /** Returns whether a token may be of another history than the read. */
  isHistoryChanged(): boolean;
  /** The faults that have begun and are not over. */
  readonly open: ReadonlyMap<string, Fault>;
  /** Maps the name of a fault to the number of its injections. */
  readonly counts: ReadonlyMap<string, number>;
}

/** The time for which a fault excuses errors after its end: a broken connection may fail only at its next use. */
const AFTERMATH_MS = 2_000;

export function createFaultWindows(): FaultWindows {
  const open = new Map<string, Fault>();
  const counts = new Map<string, number>();
  /** Maps a fault to the time since which it holds. */
  const cuts = new Map<string, number>();
  let lastOver = Number.NEGATIVE_INFINITY;
  /** Maps an API to the time until which it may have hung, for faults that are over. */
  const hung = new Map<string, number>();
  let historyFrom = Number.NEGATIVE_INFINITY;
  let losing = 0;
  let isChanged = false;

  function begin(fault: Fault): void {
    open.set(fault.id, fault);
    counts.set(fault.name, (counts.get(fault.name) ?? 0) + 1);
    if (fault.losesHistory) losing++;
    if (fault.losesHistory || fault.changesHistory) isChanged = true;
  }

  function end(fault: Fault): void {
    if (!open.delete(fault.id)) return;
    cuts.delete(fault.id);
    lastOver = fault.ended;
    for (const api of fault.mayHang ?? []) hung.set(api, fault.ended);
    if (!fault.losesHistory) return;
    losing--;
    historyFrom = fault.ended;
  }

  return {
    open,
    counts,
    take(fault) {
      switch (fault.phase) {
        case 'begins':
          begin(fault);
          break;
        case 'holds':
          if (fault.cutsPostgres) cuts.set(fault.id, fault.ended);
          break;
        case 'lifts':
          cuts.delete(fault.id);
          break;
        case 'over':
          end(fault);
      }
    },
    touched: (at) => open.size > 0 || at <= lastOver + AFTERMATH_MS,
    mayHang(api, at) {
      for (const { mayHang } of open.values()) if (mayHang?.includes(api)) return true;
      return at <= (hung.get(api) ?? Number.NEGATIVE_INFINITY);
    },
    isPostgresCut(at) {
      for (const since of cuts.values()) if (since < at) return true;
      return false;
    },
    historyCountsFrom: () => (losing > 0 ? Number.POSITIVE_INFINITY : historyFrom),
    isHistoryChanged: () => isChanged,
    isHistoryLost: () => losing > 0 || historyFrom !== Number.NEGATIVE_INFINITY,
  };
}
