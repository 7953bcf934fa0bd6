/** Calls for batch runs: start, show, watch and cancel a run. */

import type { RetryOptions } from '@tandem/transport/retry';
import type { CallOptions } from '@tandem/transport/transport';
import { methodsOf, pagePath, type Transport } from '@tandem/transport/transport';
import { watchRun } from './watch-run.ts';
import type { Budget, Run, RunPage, RunPlan, RunRequest } from './wire.ts';

export type { RunRequest } from './wire.ts';

/** Milliseconds without data after which a stream is reopened. The service sends a comment more often. */
const IDLE_MS = 60_000;

export interface RunQuery extends CallOptions {
  readonly predictor?: string;
  readonly limit?: number;
  /** The id of the last run on the previous page. */
  readonly before?: string;
}

export interface RunCalls {
  /** Starts a run. Rejects with the problem `run_conflict` if a run of scope `all` of the predictor is unfinished. */
  start(request: RunRequest, options?: CallOptions): Promise<Run>;
  list(query?: RunQuery): Promise<RunPage>;
  /**
   * Estimates the effect of a budget, without starting a run. Rejects with the problem `run_conflict` if no run of all
   * users has ended yet. For `cpuMinutes`, a run must also have recorded its CPU time.
   */
  plan(predictor: string, budget?: Budget, options?: CallOptions): Promise<RunPlan>;
  /** Returns a run with the users that could not be scored. */
  show(runId: string, options?: CallOptions): Promise<Run>;
  cancel(runId: string, options?: CallOptions): Promise<Run>;
  resume(runId: string, options?: CallOptions): Promise<Run>;
  /** Yields the run at each change, until it is finished. */
  watch(runId: string, options?: Pick<CallOptions, 'signal'>): AsyncIterable<Run>;
}

export function runCalls(transport: Transport, retry: RetryOptions): RunCalls {
  const { get, post } = methodsOf(transport);
  return {
    start: (body, options) => post('/v1/runs', options, body),
    list: ({ predictor, limit, before, ...options } = {}) =>
      get(pagePath('/v1/runs', { predictor, limit, before }), options),
    plan: (predictor, budget, options) => get(planPath(predictor, budget), options),
    show: (runId, options) => get(runPath(runId), options),
    cancel: (runId, options) => post(`${runPath(runId)}/cancel`, options),
    resume: (runId, options) => post(`${runPath(runId)}/resume`, options),
    watch: (runId, { signal } = {}) => watchRun({ transport, retry, idleMs: IDLE_MS }, runId, signal),
  };
}

function planPath(predictor: string, budget: Budget | undefined): string {
  const asked = Object.entries(budget ?? {}).map(([name, value]): [string, string] => [name, String(value)]);
  return `/v1/runs/plan?${new URLSearchParams([['predictor', predictor], ...asked])}`;
}

const runPath = (runId: string) => `/v1/runs/${encodeURIComponent(runId)}`;
