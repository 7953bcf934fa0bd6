/** Scores the contexts of a history with the model of the config, and reports the value of each way of serving. */

import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import { withScorer } from '@tandem/admission/with-scorer';
import { CommandFailure } from '@tandem/commands/failure';
import { count } from '@tandem/commands/output/text';
import type { FeatureBatch } from '@tandem/freshness/features';
import { decodeOutputs } from '@tandem/freshness/outputs';
import type { FeatureColumn, OutputField, PredictionValue } from '@tandem/freshness/predictor';
import { withRequestDefaults } from '@tandem/freshness/request-features';
import { scoreIsolating } from '@tandem/prediction/scoring/isolate-poison';
import { type Judge, judgeChances, judgeLists, type Predicted } from '../judges.ts';
import type { ValueHistory } from '../value-history.ts';
import { planValue, reportValue, scorableReads, type ValueReport } from '../value-report.ts';
import { definePredictor, judgedOutput, loadPredictor } from './define-predictor.ts';

/** A history and its origin. */
export interface ValueSource {
  readonly history: ValueHistory;
  /** Feature names in the order of a context's row. */
  readonly features: readonly string[];
  /** The line of each read, if the history is a file. */
  readonly readLines?: readonly number[];
  /** Remarks on the origin of the history. */
  readonly notes: readonly string[];
}

interface ReportRequest {
  readonly predictor: string;
  /** The path of the config. */
  readonly config: string;
  readonly output: string | undefined;
  readonly top: number;
  readonly seed: number;
  readonly cadencesMs: readonly number[];
  readonly memoryLimitMb: number;
}

/** Reports the value. Rejects with a CommandFailure, or with `config_invalid` if the features do not fit the model. */
export async function reportHistory(source: ValueSource, request: ReportRequest): Promise<ValueReport> {
  const { history, features } = source;
  const loaded = await loadPredictor(request.config, request.predictor);
  const { maxAgeMs } = loaded.resolved.policy.freshness;
  const plan = planValue(history, { cadencesMs: request.cadencesMs, maxAgeMs });
  if (plan.judged.length === 0) throw nothingKnown(history);
  const rows = history.contexts;
  const defined = await definePredictor(loaded, { features, rows }, request.memoryLimitMb);
  const output = judgedOutput(loaded, defined.definition.outputs, request.output);
  const asked = { history, contexts: plan.contexts, features, output: output.name };
  const { predicted, fault } = await scoreContexts(defined, request.memoryLimitMb, asked);
  const judge = judgeOf(source, predicted, output, request.top);
  const scorable = scorableReads(plan, judge);
  if (scorable.some((read) => history.reads[read]?.outcome !== null)) return reportValue(plan, judge, request.seed);
  if (scorable.length > 0) throw noOutcomeKnown(scorable.length);
  throw new CommandFailure(`the model could score no read: ${fault}`, {
    remedy: 'check that the features of the history are those of the config',
  });
}

function nothingKnown({ reads }: ValueHistory): CommandFailure {
  return new CommandFailure(
    `none of ${count(reads.length)} reads can be judged, because their contexts at the preceding runs are unknown`,
    {
      remedy: 'add a context for each user at the beginning of the history, or use shorter times in --cadence',
    },
  );
}

function noOutcomeKnown(reads: number): CommandFailure {
  return new CommandFailure(`none of ${count(reads)} reads has a known outcome`, {
    remedy: 'write the outcomes of the reads into the history, or send them to the service',
  });
}

function judgeOf(source: ValueSource, predicted: Predicted, output: OutputField, top: number): Judge {
  const { history, readLines } = source;
  if (output.width !== null) return judgeLists(predicted, output, top);
  const at = history.reads.findIndex(({ outcome }) => outcome !== 0 && outcome !== 1 && outcome !== null);
  if (at >= 0) {
    const place = readLines ? `line ${readLines[at]} of the history: ` : '';
    const problem = `${place}an outcome is ${JSON.stringify(history.reads[at]?.outcome)}, but output ${output.name} is one number, so outcomes must be 0 or 1`;
    throw new CommandFailure(problem, {
      remedy: 'write outcomes as 0 and 1, and unknown ones as null, or judge a list with --output',
    });
  }
  const odd = [...predicted.values()].find((value) => !(Number(value) >= 0 && Number(value) <= 1));
  if (odd === undefined) return judgeChances(predicted);
  throw new CommandFailure(`output ${output.name} is not a probability: it predicts ${odd}`, {
    remedy: 'set --output to an output between 0 and 1, or export the model with its probabilities',
  });
}

const AT_ONCE = 5_000;
const DEADLINE_MS = 30_000;

interface ContextsToScore {
  readonly history: Pick<ValueHistory, 'contexts'>;
  readonly contexts: readonly number[];
  /** The features of a context, in the order of its row. */
  readonly features: readonly string[];
  readonly output: string;
}

async function scoreContexts(
  predictor: Pick<CheckedPredictor, 'definition' | 'artifact'>,
  memoryLimitMb: number,
  { history, contexts, features, output }: ContextsToScore,
) {
  return withScorer(predictor, memoryLimitMb, async (scorer, version) => {
    /** The values of the output by context. */
    const predicted = new Map<number, PredictionValue>();
    const { columns } = version.query;
    const places = columns.map(({ name }) => features.indexOf(name));
    /** Why the first unscorable context could not be scored; null if all were scored. */
    let fault: string | null = null;
    for (let at = 0; at < contexts.length; at += AT_ONCE) {
      const part = contexts.slice(at, at + AT_ONCE);
      const read = batchOf(columns, part, (context, i) => history.contexts[context]?.[places[i] ?? -1] ?? null);
      const batch = withRequestDefaults(version, read);
      const rows = part.map((_, row) => row).filter((row) => !batch.faults.has(row));
      const request = { version, batch, rows, timeoutMs: DEADLINE_MS, priority: 'batch' } as const;
      const { outputs, faults } = await scoreIsolating(scorer, request);
      fault ??= [...batch.faults.values(), ...faults.values()][0] ?? null;
      part.forEach((context, row) => {
        const bytes = outputs.get(row);
        const value = bytes && decodeOutputs(version.outputs, bytes)[output];
        if (value !== undefined) predicted.set(context, value);
      });
    }
    return { predicted, fault };
  });
}

/** Returns the contexts as a batch, with a fault for each context that has a null for which the config has no value. */
function batchOf(
  columns: readonly FeatureColumn[],
  contexts: readonly number[],
  valueAt: (context: number, column: number) => number | string | null,
): FeatureBatch {
  const values = columns.map((_, column) => contexts.map((context) => valueAt(context, column)));
  const faults = new Map<number, string>();
  columns.forEach(({ name, nullAs }, column) => {
    if (nullAs !== undefined) return;
    values[column]?.forEach((value, row) => {
      if (value === null) faults.set(row, `feature ${name} is null; set the value of a null in features.nulls`);
    });
  });
  return {
    history: '',
    readAt: 0,
    columns,
    values,
    faults,
    unusable: new Map(),
    userIds: contexts.map(String),
    contextVersions: contexts.map(() => 0),
  };
}
