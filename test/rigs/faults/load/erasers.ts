/**
 * Ops who erase users and readmit them later. A call is repeated until it is acknowledged, as a real erasure must be.
 * Meanwhile readers and writers continue with these users as with any other.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type ErasureAct, monotonicNow } from '../history.ts';
import { type Dice, type LoadParts, repeat } from './load-parts.ts';

export interface EraserOptions {
  /** Users that no other actor erases or readmits. */
  readonly userIds: readonly string[];
  readonly actsPerSecond: number;
}

/** What both calls are answered with. */
interface Acknowledged {
  readonly contextVersion: number;
  readonly status?: 'readmitted' | 'not_erased';
}

/** Longer than of other actors: each attempt that may have worked makes the checker surer of less. */
const RETRY_MS = 250;

export function startEraser(parts: LoadParts, dice: Dice, { userIds, actsPerSecond }: EraserOptions): Promise<void> {
  const erased = new Set<string>();

  /** The more are erased, the likelier one is readmitted: half of them are, in the long run. */
  async function act(): Promise<void> {
    const isReadmitting = dice.below(userIds.length) < erased.size;
    const userId = dice.oneOf(userIds.filter((one) => erased.has(one) === isReadmitting));
    if (!(await untilAcknowledged(isReadmitting ? 'readmit' : 'erase', userId))) return;
    if (isReadmitting) erased.delete(userId);
    else erased.add(userId);
  }

  /** False where the load stopped first. */
  async function untilAcknowledged(what: ErasureAct, userId: string): Promise<boolean> {
    const firstSent = monotonicNow();
    parts.sink.write({ kind: 'erasure intent', at: firstSent, ended: firstSent, act: what, userId });
    while (!(await attempt(what, userId, firstSent))) {
      if (parts.isStopping()) return false;
      await pause(RETRY_MS);
    }
    return true;
  }

  async function attempt(kind: ErasureAct, userId: string, firstSent: number): Promise<boolean> {
    const path = `/v1/users/${userId}`;
    const timeoutMs = parts.deadlines[kind];
    const request =
      kind === 'erase'
        ? ({ method: 'DELETE', path, timeoutMs } as const)
        : ({ method: 'POST', path: `${path}/readmit`, timeoutMs } as const);
    const { call, body } = await parts.caller.send(dice.oneOf(parts.apis), request);
    const told = call.status === 200 ? (body as Acknowledged | undefined) : undefined;
    const head = { ...call, userId, firstSent, contextVersion: told?.contextVersion ?? null };
    if (kind === 'erase') parts.sink.write({ kind, ...head });
    else parts.sink.write({ kind, ...head, wasErased: told ? told.status === 'readmitted' : null });
    return told !== undefined;
  }

  return repeat(parts, actsPerSecond, act);
}
