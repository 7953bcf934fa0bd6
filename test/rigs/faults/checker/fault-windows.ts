/** Which faults are under way while a line of the history is judged, and what they excuse. */
import type { Fault } from '../history.ts';

export interface FaultWindows {
  take(fault: Fault): void;
  /** Whether any fault was under way at some moment from `at` until now, or shortly before it. */
  touched(at: number): boolean;
  /** Whether a call to that API may have been left hanging. */
  mayHang(api: string, at: number): boolean;
  /** Whether no API could reach Postgres all the time from `at` until now. */
  isPostgresCut(at: number): boolean;
  /** From which moment on acknowledgements count; Infinity while a fault may lose more. */
  historyCountsFrom(): number;
  /** Whether a fault ever lost history. */
  isHistoryLost(): boolean;
  /** Whether a token may be of another history than that of the read. */
  isHistoryChanged(): boolean;
  /** Those that have begun and are not over. */
  readonly open: ReadonlyMap<string, Fault>;
  /** Name → how often it was begun. */
  readonly counts: ReadonlyMap<string, number>;
}

/** A connection that broke may show itself only at its next use. */
const AFTERMATH_MS = 2_000;

export function createFaultWindows(): FaultWindows {
  const open = new Map<string, Fault>();
  const counts = new Map<string, number>();
  /** Fault → since when it holds. */
  const cuts = new Map<string, number>();
  let lastOver = Number.NEGATIVE_INFINITY;
  /** API → until when it may have hung, as far as faults are over. */
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
