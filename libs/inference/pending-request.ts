/** A request on its way through the batcher: settled once, by an answer, a failure or its deadline. */
import { TandemError } from '@tandem/prediction/errors';
import type { OutputTensors } from '@tandem/prediction/outputs';
import type { ScoreRequest, ScoreResult } from '@tandem/prediction/scoring';
import type { Part } from './waiting-line.ts';

export interface Pending {
  readonly priority: ScoreRequest['priority'];
  readonly deadline: number;
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
