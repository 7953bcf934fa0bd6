/** A request on its way through the batcher: settled once, by an answer, a failure or its deadline. */
import { TandemError } from '@tandem/freshness/errors';
import type { OutputTensors } from '@tandem/freshness/outputs';
import { RowsRefused, type ScoreRequest, type ScoreResult } from '@tandem/prediction/scoring/scoring';
import type { Part } from './waiting-line.ts';

export interface Pending {
  readonly priority: ScoreRequest['priority'];
  readonly deadline: number;
  /** What it had in all when it came, in ms. */
  readonly timeoutMs: number;
  /** How long one run of its rows may take, in ms. */
  readonly runTimeoutMs: number;
  /** In the order of its rows. */
  readonly parts: Part<Pending>[];
  readonly results: Map<Part<Pending>, OutputTensors>;
  settled: boolean;
  /** Its index among the pending requests. */
  place: number;
  /** Parts being run. */
  running: number;
  /** The first call counts. */
  settle(outcome: ScoreResult | Error): void;
}

/**
 * @param now ms on the clock of `deadline`
 * @param done called once, with the outcome
 */
export function createPending(
  {
    priority,
    timeoutMs,
    runTimeoutMs = Number.POSITIVE_INFINITY,
  }: Pick<ScoreRequest, 'priority' | 'timeoutMs' | 'runTimeoutMs'>,
  now: number,
  done: (outcome: ScoreResult | Error) => void,
): Pending {
  // A live reader leaves at the deadline. A batch stays while it runs: how its run ends tells whether a row is poison.
  const timer = setTimeout(
    () => {
      if (priority === 'live' || request.running === 0) request.settle(late(timeoutMs));
    },
    Math.min(timeoutMs, 2 ** 31 - 1),
  );
  const request: Pending = {
    priority,
    deadline: now + timeoutMs,
    timeoutMs,
    runTimeoutMs,
    parts: [],
    results: new Map(),
    settled: false,
    place: -1,
    running: 0,
    settle(outcome) {
      if (request.settled) return;
      request.settled = true;
      clearTimeout(timer);
      done(outcome);
    },
  };
  return request;
}

/** The error of a request whose time is over; null: its own time is not known here. */
export function late(timeoutMs: number | null): TandemError {
  const within = timeoutMs === null ? 'in time' : `within ${Math.round(timeoutMs)} ms`;
  return new TandemError('live_timeout', `the model did not answer ${within}`);
}

/**
 * The error of a request that there is no room for, or that would come too late.
 * @param room for how many of the request's rows there is a place
 */
export function overloaded(waiting: number, refused: readonly number[], room: number): TandemError {
  const text = 'too many users wait for the model';
  if (room > 0) return new RowsRefused('overloaded', new Map(refused.map((row) => [row, text])), { retryAfter: 1 });
  return new TandemError('overloaded', text, { retryAfter: 1, detail: { waiting } });
}
