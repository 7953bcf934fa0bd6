/** Performs single runs of a trial, within the rest of the trial's time. */
import { isTandemError, type TandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import { type OutputTensors, outputFault } from '@tandem/freshness/outputs';
import type { ModelDefinition } from '@tandem/freshness/predictor';
import type { InferenceProcess } from '../process/inference-process.ts';
import type { RunAnswer } from '../process/protocol.ts';
import { machineBusy, starvedText, type TimeLimit } from '../process/time-limit.ts';
import { encodeInputs, joinInputs, readOutputs } from '../tensors/batch-tensors.ts';
import { type Answer, answerOf } from './parity.ts';
import { type CheckWidths, refuse } from './signature.ts';

interface TrialRunsOptions {
  readonly process: InferenceProcess;
  readonly session: string;
  readonly definition: ModelDefinition;
  readonly batch: FeatureBatch;
  /** Checks the outputs of every run. */
  readonly checkWidths: CheckWidths;
  /** The limits of one run, at which the child is killed, and of all runs together. */
  readonly limits: { readonly run: TimeLimit; readonly total: TimeLimit };
  /** The model's field in the config. */
  readonly field: string;
}

/** Duration of a run in the child, in ms. */
export type RunTime = Pick<RunAnswer, 'ms' | 'cpuMs'>;

/** The result of a run. A `fault` is caused by its users. A wrong number of rows is thrown instead. */
export type TrialRun =
  | ({ readonly answers: readonly Answer[]; readonly fault: null } & RunTime)
  | { readonly fault: string };

export type TrialRuns = ReturnType<typeof createTrialRuns>;

export function createTrialRuns(options: TrialRunsOptions) {
  const { process, session, definition, batch, checkWidths, limits, field } = options;
  const { inputs, outputs, rowByRow = false } = definition;
  const fetches = [...new Set(outputs.map((field) => field.output))];
  const begin = performance.now();
  const cpuBegin = process.cpuMs();
  let slowestMs = 0;

  /** Returns the CPU time of the child since the first run, in ms. */
  const spentCpuMs = () => process.cpuMs() - cpuBegin;

  function checkTime(): void {
    if (spentCpuMs() > limits.total.cpuMs) throw tooSlow(field, limits.total.cpuMs, slowestMs);
    const spentMs = performance.now() - begin;
    if (spentMs > limits.total.wallMs) throw machineBusy(starvedText(spentCpuMs(), spentMs));
  }

  /**
   * Runs the model. Rejects with:
   * - `live_failed`: the model returned another number of rows than users
   * - `model_refused`: it returned another number of values than the config declares, or the trial took too much CPU
   * - `overloaded`: the machine gave the trial too little CPU
   * - ProcessEnded
   */
  async function ask(rows: readonly number[]): Promise<TrialRun> {
    checkTime();
    const ran = await faultOf(() => {
      const feeds = joinInputs([encodeInputs(inputs, batch, rows)], rows.length);
      return process.run({ session, feeds, fetches, rowByRow }, limits.run);
    });
    if (typeof ran === 'string') return { fault: ran };
    slowestMs = Math.max(slowestMs, ran.cpuMs);
    const tensors = readOutputs(ran.outputs, rows.length);
    checkWidths(tensors);
    const fault = faultOfAny(definition, tensors, rows.length);
    if (fault !== null) return { fault };
    const { ms, cpuMs } = ran;
    return { answers: rows.map((_, row) => answerOf(outputs, tensors, row)), ms, cpuMs, fault: null };
  }

  return { ask, spentCpuMs };
}

/** Returns the result of the work, or the reason why the model or an input rejected the users. */
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

function tooSlow(field: string, totalCpuMs: number, slowestMs: number): TandemError {
  const text = `the model's trial did not finish within ${totalCpuMs} ms of CPU time; one run took up to ${Math.round(slowestMs)} ms`;
  return refuse(field, text, 'Export a smaller or simpler model: a read of one user would take as long.');
}
