/**
 * Predicts from the contexts of a history with the model of a config. As in a run, the model runs in a child process
 * and in batches.
 */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import type { FeatureBatch } from '@tandem/freshness/features';
import { decodeOutputs } from '@tandem/freshness/outputs';
import type { FeatureColumn, PredictionValue } from '@tandem/freshness/predictor';
import { withRequestDefaults } from '@tandem/freshness/request-features';
import { scoreIsolating } from '@tandem/prediction/scoring/isolate-poison';
import type { ValueHistory } from '@tandem/prediction/value/value-history';
import { withScorer } from '../check/with-scorer.ts';

const AT_ONCE = 5_000;
const DEADLINE_MS = 30_000;

interface ContextsToScore {
  readonly history: Pick<ValueHistory, 'contexts'>;
  readonly contexts: readonly number[];
  /** The features of a context, in the order of its row. */
  readonly features: readonly string[];
  readonly output: string;
}

export async function scoreContexts(
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
