/** Does a fault and tells the history of it: each of its four moments, when it has come. */
import { randomUUID } from 'node:crypto';
import { type Fault, type HistorySink, monotonicNow } from '../history.ts';

/** What the fault is, and what it excuses while it lasts. */
export type FaultHead = Pick<
  Fault,
  'name' | 'seed' | 'cutsPostgres' | 'mayHang' | 'losesHistory' | 'changesHistory' | 'recoversWithinMs'
>;

export interface FaultActs {
  /** Resolves when it holds. */
  inject(): Promise<void>;
  /** What happens meanwhile; nothing for a kill, which is over at once. */
  hold?(): Promise<void>;
  /** Resolves when everything is as before, as far as the rig has a hand in it. */
  lift(): Promise<void>;
}

/** Lifts it also where the holding fails; rejects then. */
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
