/**
 * Runs a predictor's model on features that the caller gives. Nothing about users is read or stored, so an answer is
 * not certified, and is as old as the caller's values.
 */
import { isTandemError, processIsNotLive, TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { LiveOutcome } from '@tandem/freshness/live-predictor';
import { decodeOutputs } from '@tandem/freshness/outputs';
import type { ModelVersion, Prediction, Predictor } from '@tandem/freshness/predictor';
import type { Registry } from '@tandem/freshness/reader';
import { valuesOf } from '@tandem/freshness/request-features';
import { asFailure, failureOf } from '@tandem/prediction/live/live-failures';
import { scoreIsolating } from '@tandem/prediction/scoring/isolate-poison';
import type { Scorer } from '@tandem/prediction/scoring/scoring';
import type { KnownAssignments } from '@tandem/reading/known-assignments';

/** The features of one row, by name: the columns of the query, and the request features. */
export interface GivenRow {
  /** The values of the row. A column of the query may be null. A request feature with a default may be left out. */
  readonly features: Readonly<Record<string, number | string | boolean | null>>;
}

export interface Inferred {
  readonly predictor: string;
  readonly modelVersion: string;
  /** The arm of the version, always `stable`. */
  readonly variant: string;
  /** A prediction for each row, in order; an error for a row without a usable output. */
  readonly predictions: readonly (Prediction | TandemError)[];
}

interface InferDependencies {
  readonly knownAssignments: KnownAssignments;
  readonly registry: Pick<Registry, 'modelVersion'>;
  readonly scorer: Scorer;
  /** Whether this process runs models at all. */
  readonly infersLive: boolean;
  /** Returns whether this process infers with a model version. */
  mayInfer(modelVersionId: string): boolean;
}

/**
 * Infers rows. Rejects the whole call with `unknown_predictor`, `invalid_input`, `overloaded`, `live_timeout`,
 * `live_failed`; or with `unavailable` if the model is paused or cannot be loaded, or if this process is closing.
 */
export type InferRows = (predictor: Predictor, rows: readonly GivenRow[]) => Promise<Inferred>;

export function createInferRows({
  knownAssignments,
  registry,
  scorer,
  infersLive,
  mayInfer,
}: InferDependencies): InferRows {
  return async function inferRows({ name, policy }, rows) {
    if (!infersLive) throw processIsNotLive();
    const stable = (await knownAssignments()).assignments(name)?.stable;
    if (!stable) throw unknownPredictor(name);
    const version = await registry.modelVersion(stable.modelVersionId);
    const batch = batchOf(version, rows);
    if (!mayInfer(version.id)) throw notLoaded(version);
    const request = { version, batch, rows: [...rows.keys()], timeoutMs: policy.freshness.liveTimeoutMs };
    const scores = await scoreIsolating(scorer, { ...request, priority: 'live' }).catch((error: unknown) => {
      // The cause is not a row. The error says when to call again.
      throw isTandemError(error, 'unavailable') ? error : errorOf(asFailure(error), 'The model');
    });
    const { outputs } = scores;
    const predictions = rows.map((_, row) => {
      const bytes = outputs.get(row);
      return bytes ? decodeOutputs(version.outputs, bytes) : errorOf(failureOf(scores, row), `rows[${row}]`);
    });
    return { predictor: name, modelVersion: String(version.number), variant: stable.arm, predictions };
  };
}

/** Returns the rows as a feature batch. Throws `invalid_input` for the first invalid value. */
function batchOf(version: ModelVersion, rows: readonly GivenRow[]): FeatureBatch {
  const { query, request = [] } = version;
  const columns = [...query.columns, ...request];
  const values = rows.map((row, i) =>
    valuesOf(version, row.features, { columns, nullable: query.columns.length }, `rows[${i}]`),
  );
  return {
    ...{ history: '', readAt: 0, faults: new Map(), unusable: new Map() },
    userIds: rows.map(() => ''),
    contextVersions: rows.map(() => 0),
    columns,
    values: columns.map((_, column) => values.map((row) => row[column] ?? null)),
    requestFrom: query.columns.length,
  };
}

function notLoaded({ predictor, number }: ModelVersion): TandemError {
  const text = `This process has not loaded model version ${number} of predictor ${predictor}.`;
  return new TandemError('overloaded', text, {
    retryAfter: 1,
    remedy: 'retry after a second; if it persists, raise inference.memoryMb, so that the model fits',
  });
}

function errorOf(outcome: LiveOutcome, which: string): TandemError {
  if (outcome.kind !== 'failed') return new TandemError('live_failed', `${which} has no prediction.`);
  const { reason, detail, features = [] } = outcome;
  switch (reason) {
    case 'features_unusable':
      return new TandemError(reason, `${which}: the model cannot take the features ${features.join(', ')}.`, {
        remedy:
          'send other values; or set the values for null and unknown texts in features.nulls and features.categories of the config',
        detail,
      });
    case 'output_unusable':
      return new TandemError(reason, `${which}: ${detail}.`, {
        remedy: 'send other values, or push a model that gives a finite number for them',
      });
    case 'live_timeout':
    case 'overloaded':
      return new TandemError(reason, `${which}: the model did not answer in time.`, {
        retryAfter: 1,
        remedy: 'retry after a second, or with fewer rows',
        detail,
      });
    default:
      return new TandemError('live_failed', `${which}: the model failed on these values.`, {
        remedy: 'check the values; the same values will fail again',
        detail,
      });
  }
}
