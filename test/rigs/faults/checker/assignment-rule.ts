/**
 * Checks I9 for arms: a fresh answer is of an arm and a model version that could serve at some moment of its read. The
 * arms that could serve follow from the requests of operators and their acknowledgements, one after another. Between a
 * request and its acknowledgement, the arms before and after the change can serve. After a call with an unknown result,
 * both can serve until the call can no longer take effect or the rollout is known to be over. A rollout in state
 * `preparing` can begin at any time.
 */
import type { MoveIntent, MoveRollout, Read, ReadAnswer, RollBack, Survey, ToldArm, ToldRollout } from '../history.ts';
import { type AnyArm, createArmClaims, STABLE } from './arm-claims.ts';
import { headOf } from './check-calls.ts';
import { createSettledUsers } from './settled-users.ts';
import type { Violations } from './violations.ts';

export interface AssignmentCounts {
  /** Maps each kind of acknowledged move, `start`, `advance`, …, to its count. */
  readonly moves: Map<string, number>;
  /** Maps each variant to the count of its judged fresh answers. */
  readonly served: Map<string, number>;
  /** Judged unverified answers. */
  unverified: number;
  /** Those of reads that were sent within `SHORTLY_MS` after the acknowledgement of a withdrawal. */
  unverifiedShortlyAfter: number;
}

/** The time after a withdrawal in which another process still has the assignment from before, if Postgres stops. */
const SHORTLY_MS = 10_000;

/** Statuses after which a move may have taken effect; 504: it is committed, but not confirmed. */
const UNKNOWN: ReadonlySet<number> = new Set([503, 504]);

export interface AssignmentRule {
  intend(intent: MoveIntent): void;
  moved(move: MoveRollout): void;
  rolledBack(rollback: RollBack): void;
  surveyed(survey: Survey): void;
  /** Checks a fresh answer. */
  check(read: Read, answer: ReadAnswer, user: number): void;
  /**
   * Checks an unverified answer. Its arm may be out of date, but not withdrawn by an acknowledged move. What a survey shows
   * is not acknowledged: a worker may still be confirming it.
   */
  checkUnverified(read: Read, answer: ReadAnswer): void;
  /**
   * Forgets all assignments, which belong to another history. Requests sent until `until` prove nothing about this one.
   */
  forget(until: number): void;
  readonly counts: AssignmentCounts;
}

/** A call with an unknown result, which may still take effect. `rollout` is the rollout's id, if the call names it. */
interface OpenCall {
  readonly rollout: string | null;
  readonly until: number;
}

/** A call that reports the state of a rollout. */
interface Learned {
  readonly at: number;
  readonly ended: number;
  /** Whether it is the acknowledgement of a move. */
  readonly isMove: boolean;
}

/** @param windowMs longer than any call lasts, also after its sender stopped waiting for it */
export function createAssignmentRule(windowMs: number, violations: Violations): AssignmentRule {
  const first = { variant: STABLE, version: 1 };
  const claims = createArmClaims(windowMs, first);
  /** The claims that only acknowledged moves end. */
  const uncertified = createArmClaims(windowMs, first);
  const users = createSettledUsers();
  const counts: AssignmentCounts = { moves: new Map(), served: new Map(), unverified: 0, unverifiedShortlyAfter: 0 };
  let open: OpenCall[] = [];
  /** The arm of the rollout that is or may be active. */
  let arm: ToldArm | null = null;
  /** Only requests sent after this moment count. */
  let since = Number.NEGATIVE_INFINITY;
  let withdrawnAt = Number.NEGATIVE_INFINITY;

  const isSure = (at: number) => {
    open = open.filter(({ until }) => until >= at);
    return open.length === 0;
  };

  function leaveOpen(rollout: string | null, ended: number): void {
    open.push({ rollout, until: ended + windowMs });
  }

  function allow(one: AnyArm, at: number): void {
    claims.allow(one, at);
    uncertified.allow(one, at);
  }

  function close(one: ToldArm, at: number): void {
    claims.close(one, at);
    uncertified.close(one, at);
  }

  /** Notes that only these arms can serve, unless an open call may still take effect. */
  function settle(arms: readonly ToldArm[], { at, ended, isMove }: Learned): void {
    for (const one of arms) allow(one, at);
    if (!isSure(at)) return;
    claims.closeOthers(arms, ended);
    if (isMove) uncertified.closeOthers(arms, ended);
  }

  function conclude(rollout: ToldRollout): void {
    open = open.filter((call) => call.rollout !== rollout.id);
    users.end();
    arm = null;
  }

  /** @param stable the model version of the stable arm, or null if unknown */
  function learn(rollout: ToldRollout, stable: number | null, call: Learned) {
    const { state, variant, version, steps } = rollout;
    const own = { variant, version };
    const asStable = { variant: STABLE, version };
    if (state === 'promoted') {
      conclude(rollout);
      if (call.isMove) withdrawnAt = call.ended;
      return settle([{ variant: STABLE, version: stable ?? version }], call);
    }
    const known = stable === null ? [] : [{ variant: STABLE, version: stable }];
    if (state === 'aborted' || state === 'ended') {
      conclude(rollout);
      if (call.isMove) withdrawnAt = call.ended;
      if (known.length > 0) return settle(known, call);
      if (!isSure(call.at)) return;
      close(own, call.ended);
      return close(asStable, call.ended);
    }
    arm = own;
    // A rollout whose only step is 100 % makes its version stable as soon as it begins.
    const mayBeStable = state === 'preparing' && (steps[0] ?? 0) >= 100 ? [asStable] : [];
    if (known.length > 0) settle([...known, own, ...mayBeStable], call);
    else if (mayBeStable.length === 0 && isSure(call.at)) close(asStable, call.ended);
    if (state !== 'preparing' && isSure(call.at)) users.settle(call.ended);
  }

  function whyMoved(own: ToldArm, { at, ended }: Read, user: number): string | null {
    if (own.variant !== STABLE) return users.servedFromArm(user, at, ended);
    // If the rollout may have been promoted, its version may serve all users.
    return own.version === arm?.version ? null : users.servedFromStable(user, at);
  }

  return {
    counts,
    intend({ move, arm: meant, at }) {
      if (move === 'rollback') return allow({ variant: STABLE, version: null }, at);
      if (meant === null) return;
      if (move === 'start') {
        arm = meant;
        allow(meant, at);
        users.start(at);
      }
      if (move === 'advance') users.grow();
      if (move === 'abort' || move === 'end') return users.end();
      // The last step is a promotion, also if it is the only step.
      allow({ variant: STABLE, version: meant.version }, at);
    },
    moved({ move, id, told, status, failure, at, ended }) {
      if (told !== null && at > since) {
        count(counts.moves, move);
        return learn(told, null, { at, ended, isMove: true });
      }
      // A refused call has no effect; a survey reports the state.
      const isRefused = failure === 'refused' || (status !== null && !UNKNOWN.has(status));
      if (!isRefused || told !== null) leaveOpen(id, ended);
    },
    rolledBack({ status, failure, at, ended, toVersion }) {
      if (toVersion !== null && at > since) {
        count(counts.moves, 'rollback');
        withdrawnAt = ended;
        return settle([{ variant: STABLE, version: toVersion }], { at, ended, isMove: true });
      }
      if (failure !== 'refused' && (status === null || UNKNOWN.has(status))) leaveOpen(null, ended);
    },
    surveyed({ stable, rollout, at, ended }) {
      if (stable === null || at <= since) return;
      // A predictor has at most one active rollout, the newest.
      open = open.filter((call) => call.rollout === null || call.rollout === rollout?.id);
      if (rollout !== null) return learn(rollout, stable, { at, ended, isMove: false });
      arm = null;
      settle([{ variant: STABLE, version: stable }], { at, ended, isMove: false });
    },
    check(read, answer, user) {
      if (read.at <= since) return;
      const own = { variant: answer.variant ?? '', version: Number(answer.modelVersion) };
      count(counts.served, own.variant);
      const note = (rule: 'unassigned version' | 'user changed arms', why: string) =>
        violations.note(rule, why, { answer, read: headOf(read), claims: claims.all, arm });
      if (!claims.isAllowed(own, read.at, read.ended)) {
        note('unassigned version', `${own.variant} served model version ${own.version}`);
      }
      const wrong = whyMoved(own, read, user);
      if (wrong !== null) note('user changed arms', wrong);
    },
    checkUnverified(read, answer) {
      // An answer without an arm breaks another rule.
      if (read.at <= since || answer.variant === null) return;
      counts.unverified++;
      if (read.at > withdrawnAt && read.at <= withdrawnAt + SHORTLY_MS) counts.unverifiedShortlyAfter++;
      const own = { variant: answer.variant, version: Number(answer.modelVersion) };
      if (uncertified.isAllowed(own, read.at, read.ended)) return;
      const why = `${own.variant} served model version ${own.version}, unverified`;
      violations.note('unassigned version', why, { answer, read: headOf(read), claims: uncertified.all, arm });
    },
    forget(until) {
      since = until;
      open = [];
      arm = null;
      claims.forget();
      uncertified.forget();
      users.end();
    },
  };
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
