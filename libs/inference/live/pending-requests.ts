/**
 * The pending requests of the batcher. A request is rejected at once if there is no room for it. Otherwise it is cut into
 * parts that run separately, and is settled once: by the outputs of all its parts, a failure or its deadline.
 */
import { TandemError } from '@tandem/freshness/errors';
import { RowsRefused, type ScoreRequest } from '@tandem/prediction/scoring/scoring';
import type { WireTensor } from '../process/protocol.ts';
import { checkRows, cutInputs, cutOutputs, type EncodedInput, joinOutputs } from '../tensors/batch-tensors.ts';
import type { LiveRoom } from './live-room.ts';
import type { Part } from './waiting-line.ts';

/** A request of the batcher: encoded rows of one model version. */
export interface Work extends Pick<ScoreRequest, 'version' | 'rows' | 'priority' | 'timeoutMs' | 'runTimeoutMs'> {
  readonly inputs: readonly EncodedInput[];
  /** Names of the wanted outputs, in order. */
  readonly outputs: readonly string[];
  /** Whether the request's runs must not contain rows of other requests. */
  readonly isAlone?: boolean;
}

/** Returns the time in ms that limits the runs of a request. */
export function paceOf({ timeoutMs, runTimeoutMs = timeoutMs }: Pick<Work, 'timeoutMs' | 'runTimeoutMs'>): number {
  return Math.min(timeoutMs, runTimeoutMs);
}

/** The wanted outputs of all rows of a request, in order; or the error. */
export type Outcome = readonly WireTensor[] | Error;

/** A pending request of the batcher. It is settled once: by an answer, a failure or its deadline. */
export class Pending {
  readonly priority: ScoreRequest['priority'];
  deadline: number;
  /** The total time limit of the request at its arrival, in ms. */
  readonly timeoutMs: number;
  /** The time limit of one run of the request's rows, in ms. */
  readonly runTimeoutMs: number;
  /** The parts in the order of the request's rows. */
  readonly parts: Part<Pending>[] = [];
  readonly results = new Map<Part<Pending>, readonly WireTensor[]>();
  settled = false;
  /** The request's index among the pending requests. */
  index = -1;
  /** The number of parts that are running. */
  running = 0;
  readonly #done: (outcome: Outcome) => void;
  readonly #timer: NodeJS.Timeout;

  /**
   * @param now ms on the clock of `deadline`
   * @param done called once, with the outcome
   */
  constructor(
    { priority, timeoutMs, runTimeoutMs }: Pick<Work, 'priority' | 'timeoutMs' | 'runTimeoutMs'>,
    now: number,
    done: (outcome: Outcome) => void,
  ) {
    this.priority = priority;
    this.deadline = now + timeoutMs;
    this.timeoutMs = timeoutMs;
    this.runTimeoutMs = runTimeoutMs ?? Number.POSITIVE_INFINITY;
    this.#done = done;
    this.#timer = setTimeout(() => this.#expire(), Math.min(timeoutMs, 2 ** 31 - 1));
  }

  /** Settles the request. Only the first call has an effect. */
  settle(outcome: Outcome): void {
    if (this.settled) return;
    this.settled = true;
    clearTimeout(this.#timer);
    this.#done(outcome);
  }

  /**
   * Restarts the time limit of a batch, and lets it wait, after a run that failed because of another request. Otherwise
   * a row that never ends would be reported as a failure of another chunk's users. A live reader keeps its deadline.
   */
  restart(now: number): void {
    if (this.priority === 'live') return;
    clearTimeout(this.#timer);
    this.deadline = now + this.timeoutMs;
  }

  /**
   * A live reader leaves at the deadline. A batch stays while it runs: the end of its run shows whether a row is poison.
   */
  #expire(): void {
    if (this.priority === 'live' || this.running === 0) this.settle(late(this.timeoutMs));
  }
}

/** Returns whether a live request waits, with all its rows, for the model of a part. */
export function isWaitingFor({ priority, running, parts }: Pending, part: Part<Pending> | undefined): boolean {
  return priority === 'live' && running === 0 && parts[0]?.version.artifactHash === part?.version.artifactHash;
}

/** Returns whether the request's deadline passed before its part was run. If so, rejects the request. */
export function expire({ request, failedRuns }: Part<Pending>, now: number): boolean {
  if (failedRuns > 0) request.restart(now);
  if (request.deadline > now) return false;
  request.settle(late(null));
  return true;
}

/** Returns the error of a request after its deadline. The time limit is null if it is unknown. */
export function late(timeoutMs: number | null): TandemError {
  const within = timeoutMs === null ? 'in time' : `within ${Math.round(timeoutMs)} ms`;
  return new TandemError('live_timeout', `the model did not answer ${within}`);
}

/**
 * Returns the error of a request without room, or that would be too late.
 * @param room the number of the request's rows that may still wait
 */
function overloaded(waiting: number, refused: readonly number[], room: number): TandemError {
  const text = 'too many users wait for the model';
  if (room > 0) return new RowsRefused('overloaded', new Map(refused.map((row) => [row, text])), { retryAfter: 1 });
  return new TandemError('overloaded', text, { retryAfter: 1, detail: { waiting } });
}

/**
 * Returns the error of a request that is rejected for lack of room, or because the live requests before it would make
 * it late; undefined if it may wait.
 * @param most the most rows that may wait
 */
export function refusalOf(
  { rows, priority, version, timeoutMs }: Omit<Work, 'inputs'>,
  waiting: number,
  most: number,
  liveRoom: LiveRoom,
): TandemError | undefined {
  const queueRoom = Math.max(0, most - waiting);
  const room = priority === 'live' ? Math.min(liveRoom.room(version, timeoutMs), queueRoom) : queueRoom;
  // A request that is larger than the waiting line is accepted when the line is empty, since it would never fit
  // otherwise.
  const isRefused = rows.length > room && (waiting > 0 || room < queueRoom);
  return isRefused ? overloaded(waiting, rows.slice(room), room) : undefined;
}

/** Splits a request into parts of at most `most` rows. */
export function cut(
  request: Pending,
  { rows, version, inputs, outputs, isAlone = false }: Work,
  most: number,
): Part<Pending>[] {
  const parts: Part<Pending>[] = [];
  for (let start = 0; start < rows.length; start += most) {
    const count = Math.min(most, rows.length - start);
    const cutOff = count === rows.length ? inputs : cutInputs(inputs, start, count);
    const part = { request, version, start, rows: count, inputs: cutOff, outputs, isAlone };
    parts.push({ ...part, costMs: 0, failedRuns: 0, waiting: false });
  }
  return parts;
}

/** Gives each part its outputs. A request is answered when all its parts have them. */
export function deliver(parts: readonly Part<Pending>[], outputs: readonly WireTensor[]): void {
  checkRows(outputs, rowsOf(parts));
  let start = 0;
  for (const part of parts) {
    const { request } = part;
    request.results.set(part, cutOutputs(outputs, start, part.rows));
    start += part.rows;
    if (request.results.size === request.parts.length) {
      request.settle(joinOutputs(request.parts.map((each) => request.results.get(each) ?? [])));
    }
  }
}

export function rowsOf(parts: readonly Part<Pending>[]): number {
  return parts.reduce((sum, part) => sum + part.rows, 0);
}
