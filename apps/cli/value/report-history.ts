/** Scores the contexts of a history with the model of the config, and reports the value of each way of serving. */
import type { OutputField } from '@tandem/freshness/predictor';
import { type Judge, judgeChances, judgeLists, type Predicted } from '@tandem/prediction/value/judges';
import type { ValueHistory } from '@tandem/prediction/value/value-history';
import { planValue, reportValue, scorableReads, type ValueReport } from '@tandem/prediction/value/value-report';
import { CommandFailure } from '../command-line/failure.ts';
import { count } from '../output/text.ts';
import { definePredictor, judgedOutput, loadPredictor } from './define-predictor.ts';
import { scoreContexts } from './score-contexts.ts';

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
