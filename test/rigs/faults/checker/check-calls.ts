/** Checks the rules of every call: a declared status within its deadline, Retry-After on a refusal, no secret. */
import type {
  Contract,
  Erase,
  ListGenerations,
  MoveRollout,
  Read,
  Readmit,
  RollBack,
  SendEvents,
  SentEvent,
  SqlEvents,
  StartRun,
  Survey,
} from '../history.ts';
import type { FaultWindows } from './fault-windows.ts';
import type { Known } from './known.ts';
import type { Violations } from './violations.ts';

export type ServiceCall =
  | Read
  | SendEvents
  | StartRun
  | RollBack
  | MoveRollout
  | Survey
  | ListGenerations
  | Erase
  | Readmit;

export interface CallCounts {
  /** Maps `read 200`, `event reset`, … to counts. */
  readonly outcomes: Map<string, number>;
  /** Maps kinds of calls to the slowest call, in ms. */
  readonly slowest: Map<string, number>;
}

export interface CallChecker {
  learn(contract: Contract): void;
  check(call: ServiceCall): void;
  /** Checks the status of one answer among many: the route of single reads must declare it. */
  checkOneOfMany(status: number, read: Read, userId: string): void;
  readonly counts: CallCounts;
}

export const ONE = 'GET /v1/predictions/{predictor}/{userId}';
const ROUTES = {
  event: 'POST /v1/events',
  run: 'POST /v1/runs',
  rollback: 'POST /v1/predictors/{predictor}/rollback',
  survey: 'GET /v1/rollouts',
  generations: 'GET /v1/predictors/{predictor}/generations',
  erase: 'DELETE /v1/users/{userId}',
  readmit: 'POST /v1/users/{userId}/readmit',
} as const;

/** Statuses with which a correct call may be refused. */
const REFUSALS: ReadonlySet<number> = new Set([429, 503]);

export function createCallChecker(known: Known, violations: Violations): CallChecker {
  const { faults } = known;
  let declared: ReadonlyMap<string, ReadonlySet<number>> | null = null;
  let deadlines: Contract['deadlines'] | null = null;
  const counts: CallCounts = { outcomes: new Map(), slowest: new Map() };

  function checkStatus(call: ServiceCall, status: number): void {
    const route = routeOf(call);
    if (declared !== null && !declared.get(route)?.has(status)) {
      violations.note('undeclared status', `${route}: ${status}`, headOf(call));
    }
    if (REFUSALS.has(status) && call.retryAfter === undefined) {
      violations.note('no Retry-After', `${route}: ${status}`, headOf(call));
    }
    if (!isExpected(call, status, known)) violations.note('unexpected status', `${route}: ${status}`, headOf(call));
  }

  function checkTime(call: ServiceCall): void {
    const took = call.ended - call.at;
    if (took > (counts.slowest.get(call.kind) ?? 0)) counts.slowest.set(call.kind, took);
    if (call.failure === 'refused' || call.failure === 'reset') {
      if (!faults.touched(call.at)) violations.note('unreachable without a fault', call.failure, headOf(call));
      return;
    }
    const isLate = call.failure === 'timeout' || (deadlines !== null && took > deadlines[call.kind]);
    if (isLate && !faults.mayHang(call.api, call.at)) {
      violations.note('late', `${call.kind} after ${Math.round(took)} ms`, headOf(call));
    }
  }

  return {
    counts,
    learn(contract) {
      declared = new Map(Object.entries(contract.routes).map(([route, statuses]) => [route, new Set(statuses)]));
      deadlines = contract.deadlines;
    },
    check(call) {
      const outcome = `${call.kind} ${call.status ?? call.failure}`;
      counts.outcomes.set(outcome, (counts.outcomes.get(outcome) ?? 0) + 1);
      checkTime(call);
      if (call.status !== null) checkStatus(call, call.status);
      if (call.leak !== undefined) violations.note('leak', call.leak, headOf(call));
    },
    checkOneOfMany(status, read, userId) {
      const outcome = `one of many ${status}`;
      counts.outcomes.set(outcome, (counts.outcomes.get(outcome) ?? 0) + 1);
      if (declared !== null && !declared.get(ONE)?.has(status)) {
        violations.note('undeclared status', `within ${routeOf(read)}: ${status}`, headOf(read));
      }
      if (!isExpected({ ...read, userIds: [userId] }, status, known)) {
        violations.note('unexpected status', `within ${routeOf(read)}: ${status}`, { userId, read: headOf(read) });
      }
    },
  };
}

function routeOf(call: ServiceCall): string {
  switch (call.kind) {
    case 'read':
      return call.many ? 'POST /v1/predictions/{predictor}' : ONE;
    case 'rollout':
      return call.move === 'start' ? 'POST /v1/predictors/{predictor}/rollouts' : `POST /v1/rollouts/{id}/${call.move}`;
    default:
      return ROUTES[call.kind];
  }
}

/** Returns whether the status is right for a call of the load, which sends only correct requests. */
function isExpected(call: ServiceCall, status: number, known: Known): boolean {
  if (REFUSALS.has(status)) return true;
  switch (call.kind) {
    case 'read':
      return status === 200 || isExpectedOfRead(call, status, known);
    case 'event':
      return status === 202 || (status === 409 && call.events.some((event) => mayConflict(event, known.faults)));
    case 'run':
      // 409: a run of all users is in progress. 422: the arm has ended since the request was made.
      return (
        status === 202 || (status === 409 && call.scope !== 'users') || (status === 422 && call.variant !== undefined)
      );
    case 'rollback':
      // 404: there is no generation to return to. 409: a rollout is active. 504: Redis did not confirm it.
      return status === 200 || status === 404 || status === 409 || status === 504;
    case 'rollout':
      return isExpectedOfMove(call, status, known);
    case 'survey':
    case 'generations':
    case 'erase':
    case 'readmit':
      return status === 200;
  }
}

/** Returns whether the status is right for a move. 409: another rollout is active, or this one is over. 422: the version is stable. 504: Redis did not confirm it. */
function isExpectedOfMove({ move }: MoveRollout, status: number, { faults }: Known): boolean {
  if (move === 'start') return status === 201 || status === 409 || status === 422;
  return status === 200 || status === 409 || status === 504 || (status === 404 && faults.isHistoryLost());
}

function isExpectedOfRead({ directives, userIds, at }: Read, status: number, known: Known): boolean {
  // Only an erased user is unknown. In a read of several users, each user has a status.
  if (status === 404) return userIds.every((userId) => known.erasures.mayBeErased(known.userOf(userId), at));
  // The token is of the previous history.
  if (status === 409) return directives.minContext !== undefined && known.faults.isHistoryChanged();
  if (status === 304) return directives.ifNoneMatch !== undefined;
  return status === 504 && directives.onlyIfCached === true;
}

/** Returns whether the event may conflict: the payload applied under its id in a lost history is unknown. */
function mayConflict({ conflicting, changedAt }: SentEvent, faults: FaultWindows): boolean {
  return conflicting === true || changedAt <= faults.historyCountsFrom();
}

/** Returns a call without its long fields. */
export function headOf(call: ServiceCall | SqlEvents): unknown {
  const { answers, userIds, events, results, ...head } = call as ServiceCall & Record<string, unknown>;
  return head;
}
