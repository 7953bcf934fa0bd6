/** A model version as the wire has it. */
import { z } from '@hono/zod-openapi';
import type { Assignment, Authority } from '@tandem/prediction/certificate';
import type { ModelVersion } from '@tandem/prediction/predictor';
import type { PredictorRegistry } from '../predictors/predictor-view.ts';

export const ModelSchema = z
  .strictObject({
    predictor: z.string(),
    modelVersion: z.string().openapi({ description: 'Its number' }),
    artifact: z.string().openapi({ description: 'The SHA-256 of the model file, in hex' }),
    createdAt: z.iso.datetime().openapi({ description: 'When it was adopted first' }),
    variants: z.array(z.string()).openapi({ description: 'The arms that name it; empty: nobody is served by it' }),
    inputs: z
      .array(z.strictObject({ name: z.string(), type: z.string(), columns: z.array(z.string()) }))
      .openapi({ description: 'The tensors that it takes, each filled from feature columns' }),
    outputs: z
      .array(
        z.strictObject({
          name: z.string(),
          output: z.string(),
          type: z.string(),
          width: z.int().nullable(),
          index: z.int(),
        }),
      )
      .openapi({
        description:
          'The fields of its predictions: from which tensor, and from which place of its row. `width` null: one value, else a vector',
      }),
  })
  .openapi('Model');

export type ModelView = z.output<typeof ModelSchema>;

/** A model version, and when it was adopted first. */
export interface AdoptedModel extends ModelVersion {
  readonly createdAt: Date;
}

export interface ModelDependencies {
  /** Port: the model versions of a predictor, oldest first. */
  readonly models: { list(predictor: string): Promise<readonly AdoptedModel[]> };
  readonly registry: PredictorRegistry;
  readonly authority: Authority;
}

/** Newest first. */
export function modelViews(models: readonly AdoptedModel[], assignment: Assignment | undefined): ModelView[] {
  return models.map((model) => modelView(model, assignment)).reverse();
}

function modelView(model: AdoptedModel, assignment: Assignment | undefined): ModelView {
  const { id, predictor, number, artifactHash, createdAt, inputs, outputs } = model;
  return {
    predictor,
    modelVersion: String(number),
    artifact: artifactHash,
    createdAt: createdAt.toISOString(),
    variants: assignment?.modelVersionId === id ? [assignment.arm] : [],
    inputs: inputs.map(({ name, type, columns }) => ({ name, type, columns: [...columns] })),
    outputs: outputs.map(({ name, output, type, width, index }) => ({ name, output, type, width, index })),
  };
}
