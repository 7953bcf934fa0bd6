/** Single runs of a trial: users of its batch in, their answers out, within what is left of the trial's time. */
import { isTandemError, type TandemError } from '@tandem/prediction/errors';
import type { FeatureBatch } from '@tandem/prediction/models/features';
import { type OutputTensors, outputFault } from '@tandem/prediction/models/outputs';
import type { ModelDefinition } from '@tandem/prediction/predictor';
import type { InferenceProcess } from './inference-process.ts';
import { encodeInputs, joinInputs } from './input-tensors.ts';
import { readOutputs } from './output-tensors.ts';
import type { CheckWidths } from './output-widths.ts';
import { type Answer, answerOf } from './parity.ts';
import { refuse } from './signature.ts';

export interface TrialRunsOptions {
  readonly process: InferenceProcess;
  readonly session: string;
  readonly definition: ModelDefinition;
  readonly batch: FeatureBatch;
  /** Asked of every run's outputs. */
  readonly checkWidths: CheckWidths;
  /** Of one run; the child is killed then. */
  readonly runTimeoutMs: number;
  /** Of all runs together. */
  readonly totalTimeoutMs: number;
  /** Where the model is named in the config. */
  readonly field: string;
}

/** What a run came to. A `fault` is these users' own; how many rows a model gives is never one, and is thrown. */
export type TrialRun =
  | { readonly answers: readonly Answer[]; readonly ms: number; readonly fault: null }
  | { readonly fault: string };

export interface TrialRuns {
  /**
   * Rejects with `live_failed` where the model gives another number of rows than users, `model_refused` where it gives
   * another number of values than the config takes or the trial's time is over, or ProcessEnded.
   */
  ask(rows: readonly number[]): Promise<TrialRun>;
  /** Milliseconds since the first run. */
  spentMs(): number;
}

/** @param now milliseconds that only ever rise */
export function createTrialRuns(options: TrialRunsOptions, now: () => number): TrialRuns {
  const { process, session, definition, batch, checkWidths, runTimeoutMs, totalTimeoutMs, field } = options;
  const { inputs, outputs, rowByRow = false } = definition;
  const fetches = [...new Set(outputs.map((field) => field.output))];
  const begin = now();
  let slowestMs = 0;

  async function ask(rows: readonly number[]): Promise<TrialRun> {
    const spent = now() - begin;
    if (spent > totalTimeoutMs) throw tooSlow(field, totalTimeoutMs, slowestMs);
    const ran = await faultOf(() => {
      const feeds = joinInputs([encodeInputs(inputs, batch, rows)], rows.length);
      return process.run({ session, feeds, fetches, rowByRow }, runTimeoutMs);
    });
    if (typeof ran === 'string') return { fault: ran };
    slowestMs = Math.max(slowestMs, ran.ms);
    const tensors = readOutputs(ran.outputs, rows.length);
    checkWidths(tensors);
    const fault = faultOfAny(definition, tensors, rows.length);
    if (fault !== null) return { fault };
    return { answers: rows.map((_, row) => answerOf(outputs, tensors, row)), ms: ran.ms, fault: null };
  }

  return { ask, spentMs: () => now() - begin };
}

/** What the work gives, or why the model or an input refused the users. */
async function faultOf<T>(work: () => Promise<T>): Promise<T | string> {
  try {
    return await work();
  } catch (error) {
    if (isTandemError(error, 'live_failed', 'features_unusable')) return error.message;
    throw error;
  }
}

function faultOfAny({ outputs }: ModelDefinition, tensors: OutputTensors, rows: number): string | null {
  for (let row = 0; row < rows; row++) {
    const fault = outputFault(outputs, tensors, row);
    if (fault !== null) return fault;
  }
  return null;
}

function tooSlow(field: string, totalTimeoutMs: number, slowestMs: number): TandemError {
  const text = `the model's trial was not over within ${totalTimeoutMs} ms; one run took up to ${Math.round(slowestMs)} ms`;
  return refuse(field, text, 'Export a smaller or simpler model: a reader would wait as long for one user.');
}
