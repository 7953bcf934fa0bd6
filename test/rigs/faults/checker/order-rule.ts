/**
 * Checks that reads do not go back: after an answer to `no-cache` that was stored, no later read is answered, as fresh,
 * with an older prediction of the same arm. The higher label is newer, then the later time of computation.
 *
 * A rollback withdraws the stored answer, and an answer from another arm replaces it. So all stored answers are
 * forgotten when a rollout may take users back to an arm. Only users without an event are judged, because the service does not promise the
 * order while an open transaction holds the user's context. Memory: some hundred bytes a user.
 */
import type { Fault, MoveIntent, Read, ReadAnswer, RollBack } from '../history.ts';
import { headOf } from './check-calls.ts';
import type { Known } from './known.ts';
import type { Violations } from './violations.ts';

export interface OrderCounts {
  /** Stored answers to `no-cache`. */
  demanded: number;
  /** Later fresh answers of their users. */
  judged: number;
}

export interface OrderRule {
  /** Checks a fresh answer. */
  check(read: Read, answer: ReadAnswer, user: number): void;
  intend(intent: MoveIntent): void;
  /** @param windowMs longer than any call lasts, also after its sender stopped waiting for it */
  rolledBack(rollback: RollBack, windowMs: number): void;
  take(fault: Fault): void;
  readonly counts: OrderCounts;
}

interface Demanded {
  readonly ended: number;
  readonly answer: ReadAnswer;
}

export function createOrderRule({ sharing }: Pick<Known, 'sharing'>, violations: Violations): OrderRule {
  const counts: OrderCounts = { demanded: 0, judged: 0 };
  const known = new Map<number, Demanded>();
  /** Faults without an order of answers that are not over. */
  const disordering = new Set<string>();
  /** Only answers to reads sent later are remembered. */
  let since = Number.NEGATIVE_INFINITY;

  function forget(until: number): void {
    known.clear();
    since = until;
  }

  function remember({ at, ended, directives }: Read, answer: ReadAnswer, user: number): void {
    const isStored = directives.noCache === true && answer.stored === true;
    if (!isStored || answer.contextVersion !== 0 || at <= since || disordering.size > 0 || sharing.has(user)) return;
    counts.demanded++;
    known.set(user, { ended, answer });
  }

  return {
    counts,
    check(read, answer, user) {
      const one = known.get(user);
      if (one && read.at > one.ended && read.status === 200 && isSameArm(answer, one.answer)) {
        counts.judged++;
        if (isOlder(answer, one.answer)) {
          violations.note('older than demanded', 'older than a stored answer to no-cache', {
            ...{ answer, demanded: one.answer, ended: one.ended, read: headOf(read) },
          });
        }
      }
      remember(read, answer, user);
    },
    intend({ move, at }) {
      // A start takes no user back to an arm.
      if (move !== 'start') forget(move === 'rollback' ? Number.POSITIVE_INFINITY : Math.max(at, since));
    },
    rolledBack({ status, ended }, windowMs) {
      // A rollback with an unknown result may still take effect.
      const isKnown = status === 200 || status === 404 || status === 409;
      forget(isKnown ? ended : ended + windowMs);
    },
    take({ id, phase, ended, losesHistory, changesHistory, movesClock }) {
      if (!losesHistory && !changesHistory && !movesClock) return;
      if (phase === 'begins') disordering.add(id);
      if (phase === 'over') disordering.delete(id);
      forget(Math.max(ended, since));
    },
  };
}

function isSameArm(one: ReadAnswer, other: ReadAnswer): boolean {
  return one.variant === other.variant && one.modelVersion === other.modelVersion;
}

function isOlder(one: ReadAnswer, other: ReadAnswer): boolean {
  const [label, otherLabel] = [one.predictedFromContextVersion ?? 0, other.predictedFromContextVersion ?? 0];
  if (label !== otherLabel) return label < otherLabel;
  return (one.computedAt ?? 0) < (other.computedAt ?? 0);
}
