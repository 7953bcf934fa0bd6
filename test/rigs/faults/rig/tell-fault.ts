/** Injects a fault, and records each of its four phases in the history. */
import { randomUUID } from 'node:crypto';
import { type Fault, type HistorySink, monotonicNow } from '../history.ts';

/** The fault, and the outcomes that it excuses while it lasts. */
export type FaultHead = Pick<
  Fault,
  'name' | 'seed' | 'cutsPostgres' | 'mayHang' | 'losesHistory' | 'changesHistory' | 'movesClock' | 'recoversWithinMs'
>;

export interface FaultActs {
  /** Injects the fault; resolves when it holds. */
  inject(): Promise<void>;
  /** Waits or acts while the fault holds. Absent for a kill, which is over at once. */
  hold?(): Promise<void>;
  /** Lifts the fault; resolves when the rig has restored its parts. */
  lift(): Promise<void>;
}

/** Runs a fault. It lifts the fault also if `hold` fails, and then rejects. */
export async function tellFault(sink: HistorySink, head: FaultHead, acts: FaultActs): Promise<void> {
  const id = randomUUID();
  const tell = (phase: Fault['phase'], at: number) =>
    sink.write({ kind: 'fault', ...head, id, phase, at, ended: monotonicNow() });
  const startedAt = monotonicNow();
  tell('begins', startedAt);
  try {
    await acts.inject();
    tell('holds', startedAt);
    await acts.hold?.();
  } finally {
    const liftedAt = monotonicNow();
    tell('lifts', liftedAt);
    await acts.lift();
    tell('over', liftedAt);
  }
}
