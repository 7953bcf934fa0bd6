/**
 * Coalesces single reads. Reads of one turn of the event loop (on Cloudflare Workers: of one microtask) with the same
 * predictor and demands are sent as one request. Each caller has a separate result, error and abort.
 */
import { ProblemError, UnreachableError } from '@tandem/transport/client-errors';
import type { Transport } from '@tandem/transport/transport';
import { type Answered, type ManyResult, type PredictManyOptions, predict, predictMany } from './predictions.ts';

export type ReadOne = (predictor: string, userId: string, options: PredictManyOptions) => Promise<Answered>;

/** The most users of one request. */
const MAX_USERS = 1_000;

interface Waiter {
  readonly userId: string;
  readonly resolve: (answered: Answered) => void;
  readonly reject: (error: unknown) => void;
  /** Called when the caller has aborted; a request that no caller waits for is aborted. */
  leave: () => void;
  hasLeft: boolean;
}

/** The reads that will share a request at the end of the turn. */
interface Group {
  readonly predictor: string;
  readonly options: PredictManyOptions;
  readonly waiters: Waiter[];
}

/**
 * Creates a function that coalesces reads.
 * @param endOfTurn calls back after all callers of this turn
 */
export function createCoalescedReads(transport: Transport, endOfTurn = afterThisTurn): ReadOne {
  const groups = new Map<string, Group>();
  return (predictor, userId, { signal, ...options }) => {
    const key = keyOf(predictor, options);
    let group = groups.get(key);
    if (group === undefined) {
      const opened: Group = { predictor, options, waiters: [] };
      groups.set(key, opened);
      endOfTurn(() => {
        groups.delete(key);
        readGroup(transport, opened);
      });
      group = opened;
    }
    return wait(group.waiters, userId, signal);
  };
}

/** Returns whether an id can share a request. The service rejects other ids, together with the whole request. */
export function canShareRequest(userId: string): boolean {
  if (typeof userId !== 'string' || userId === '' || userId.length > 128) return false;
  return userId !== '.' && userId !== '..' && userId.isWellFormed();
}

function keyOf(predictor: string, options: PredictManyOptions): string {
  const { noCache = false, onlyIfCached = false, maxAge, maxStale, timeoutMs, retryForMs } = options;
  return JSON.stringify([predictor, noCache, onlyIfCached, maxAge, maxStale, timeoutMs, retryForMs]);
}

/** The globals of a runtime that tell how its turns end. */
interface Turns {
  readonly setImmediate?: (run: () => void) => unknown;
  readonly setTimeout: (run: () => void, ms: number) => unknown;
  readonly navigator?: { readonly userAgent?: string };
}

/**
 * Calls back after the callers of this turn: with `setImmediate`, else with a timer. Cloudflare Workers cancel both
 * when the request that began them ends, so reads of other requests would wait forever. There a microtask is used,
 * which runs before any other request.
 */
function afterThisTurn(act: () => void): void {
  const { setImmediate, setTimeout, navigator } = globalThis as Turns;
  if (navigator?.userAgent === 'Cloudflare-Workers') queueMicrotask(act);
  else if (setImmediate) setImmediate(act);
  else setTimeout(act, 0);
}

function wait(waiters: Waiter[], userId: string, signal: AbortSignal | undefined): Promise<Answered> {
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const waiter: Waiter = {
      userId,
      resolve: settle(resolve),
      reject: settle(reject),
      leave: () => {},
      hasLeft: false,
    };
    const abort = () => {
      waiter.hasLeft = true;
      reject(signal?.reason);
      waiter.leave();
    };
    function settle<T>(outcome: (value: T) => void): (value: T) => void {
      return (value) => {
        signal?.removeEventListener('abort', abort);
        outcome(value);
      };
    }
    signal?.addEventListener('abort', abort, { once: true });
    waiters.push(waiter);
  });
}

function readGroup(transport: Transport, { predictor, options, waiters }: Group): void {
  const byUser = new Map<string, Waiter[]>();
  for (const waiter of waiters) {
    if (waiter.hasLeft) continue;
    const others = byUser.get(waiter.userId);
    if (others) others.push(waiter);
    else byUser.set(waiter.userId, [waiter]);
  }
  const users = [...byUser];
  for (let at = 0; at < users.length; at += MAX_USERS) {
    const part = users.slice(at, at + MAX_USERS);
    const signal = abortedByAll(part.flatMap(([, same]) => same));
    const ids = part.map(([userId]) => userId);
    readUsers(transport, predictor, ids, { ...options, signal }).then(
      (results) => {
        for (const [i, result] of results.entries()) settleUser(part[i]?.[1] ?? [], result);
      },
      (error) => {
        for (const { reject } of part.flatMap(([, same]) => same)) reject(error);
      },
    );
  }
}

/** Returns a signal that is aborted when all callers have aborted. */
function abortedByAll(waiters: readonly Waiter[]): AbortSignal {
  const controller = new AbortController();
  let left = waiters.length;
  const leave = () => {
    left -= 1;
    if (left === 0) controller.abort(new DOMException('every caller aborted', 'AbortError'));
  };
  for (const waiter of waiters) waiter.leave = leave;
  return controller.signal;
}

/** Reads one user by GET, which returns headers, and several users by one POST. */
async function readUsers(
  transport: Transport,
  predictor: string,
  ids: readonly string[],
  options: PredictManyOptions,
): Promise<readonly (Answered | Error)[]> {
  const [only, ...others] = ids;
  if (only !== undefined && others.length === 0)
    return [(await predict(transport, predictor, only, options)) as Answered];
  const results = await predictMany(transport, predictor, ids, options);
  return ids.map((userId, i) => answeredOf(userId, results[i]));
}

/** Rejects the result of another user, which a faulty proxy may return. */
function answeredOf(userId: string, result: ManyResult | undefined): Answered | Error {
  if (result?.userId !== userId)
    return new UnreachableError('the service', false, `the answer has no result of user ${userId}`);
  const { answer, problem } = result;
  if (answer === null) return new ProblemError(problem);
  return { answer, notModified: false, etag: null, cacheStatus: null, age: answer.ageSeconds, serverTiming: null };
}

/** Gives each caller of a user a separate object. */
function settleUser(waiters: readonly Waiter[], result: Answered | Error): void {
  for (const [i, { resolve, reject }] of waiters.entries()) {
    if (result instanceof Error) reject(result);
    else resolve(i === 0 ? result : structuredClone(result));
  }
}
