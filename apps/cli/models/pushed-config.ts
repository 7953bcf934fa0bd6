/** Converts a predictor of a config to a push with every setting of its model version. */
import type { PushInput } from '@tandem/client/wire';
import { CommandFailure } from '@tandem/commands/failure';
import { loadConfig } from '@tandem/config/predictor/load-config';
import { wordsOf, wordsOfRequest } from '@tandem/config/predictor/request-settings';
import type { ResolvedPredictor } from '@tandem/config/predictor/resolve-predictor';
import { formatDuration } from '@tandem/wire/durations';

export interface PushedConfig {
  readonly model: Buffer;
  readonly push: PushInput;
}

/**
 * Reads the config. The push does not contain policies, because they belong to the predictor and not to a model
 * version. Rejects with `config_invalid`.
 */
export async function readPushedConfig(path: string, predictor: string): Promise<PushedConfig> {
  const { file, predictors } = await loadConfig(path);
  const found = predictors.find(({ name }) => name === predictor);
  if (!found) {
    throw new CommandFailure(`${file} has no predictor ${predictor}`, {
      remedy: `it has ${predictors.map(({ name }) => name).join(', ')}`,
    });
  }
  return { model: found.model.bytes, push: pushOf(found) };
}

function pushOf({ features, request, inputs, outputs, rowByRow }: ResolvedPredictor): PushInput {
  const { sql, asOf, overlayForMs, nulls, categories } = features;
  return {
    features: {
      ...{ sql, asOf, nulls },
      overlayFor: overlayForMs === null ? null : formatDuration(overlayForMs),
      categories: Object.fromEntries(Object.entries(categories).map(([column, said]) => [column, wordsOf(said)])),
    },
    request: request && Object.fromEntries(request.map((column) => [column.name, wordsOfRequest(column)])),
    inputs: inputs && Object.fromEntries(inputs.map(({ name, type, columns }) => [name, { type, columns }])),
    outputs: Object.fromEntries(
      outputs.map(({ name, from, type, index, width }) => [
        name,
        { from, type, ...(index === null ? {} : { index }), ...(width === null ? {} : { width }) },
      ]),
    ),
    rowByRow,
  };
}
