/**
 * Operators who erase users and readmit them later. They repeat a call until it is acknowledged, as a real application
 * must. Readers and writers treat these users like all others.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type ErasureAct, monotonicNow } from '../history.ts';
import type { Api } from './http-caller.ts';
import { type Dice, type LoadParts, repeat } from './load-parts.ts';

export interface EraserOptions {
  /** Users that no other actor erases or readmits. */
  readonly userIds: readonly string[];
  readonly actsPerSecond: number;
}

/** The answer to both calls. */
interface Acknowledged {
  readonly contextVersion: number;
  readonly status?: 'readmitted' | 'not_erased';
}

/**
 * A longer pause than that of other actors, because the checker can judge less after each attempt with an unknown
 * result.
 */
const RETRY_MS = 250;

export function startEraser(parts: LoadParts, dice: Dice, { userIds, actsPerSecond }: EraserOptions): Promise<void> {
  const erased = new Set<string>();

  /**
   * Erases or readmits a user. A readmission is likelier if more users are erased, so half of the users are erased on
   * average.
   */
  async function act(): Promise<void> {
    const isReadmitting = dice.below(userIds.length) < erased.size;
    const userId = dice.oneOf(userIds.filter((one) => erased.has(one) === isReadmitting));
    if (!(await untilAcknowledged(parts, dice, isReadmitting ? 'readmit' : 'erase', userId))) return;
    if (isReadmitting) erased.delete(userId);
    else erased.add(userId);
  }

  return repeat(parts, actsPerSecond, act);
}

type Asking = Pick<LoadParts, 'apis' | 'caller' | 'sink' | 'deadlines' | 'isStopping'>;

/** Repeats the call until it is acknowledged. Returns false if the load stops first. */
export async function untilAcknowledged(
  parts: Asking,
  dice: Pick<Dice, 'oneOf'>,
  what: ErasureAct,
  userId: string,
): Promise<boolean> {
  const firstSent = monotonicNow();
  parts.sink.write({ kind: 'erasure intent', at: firstSent, ended: firstSent, act: what, userId });
  while (!(await attempt(parts, dice.oneOf(parts.apis), { what, userId, firstSent }))) {
    if (parts.isStopping()) return false;
    await pause(RETRY_MS);
  }
  return true;
}

async function attempt(
  { caller, sink, deadlines }: Asking,
  api: Api,
  { what, userId, firstSent }: { readonly what: ErasureAct; readonly userId: string; readonly firstSent: number },
): Promise<boolean> {
  const path = `/v1/users/${userId}`;
  const timeoutMs = deadlines[what];
  const request =
    what === 'erase'
      ? ({ method: 'DELETE', path, timeoutMs } as const)
      : ({ method: 'POST', path: `${path}/readmit`, timeoutMs } as const);
  const { call, body } = await caller.send(api, request);
  const told = call.status === 200 ? (body as Acknowledged | undefined) : undefined;
  const head = { ...call, userId, firstSent, contextVersion: told?.contextVersion ?? null };
  if (what === 'erase') sink.write({ kind: what, ...head });
  else sink.write({ kind: what, ...head, wasErased: told ? told.status === 'readmitted' : null });
  return told !== undefined;
}
