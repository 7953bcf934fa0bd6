/** A model version as the wire has it. */
import { z } from '@hono/zod-openapi';
import { TandemError } from '@tandem/freshness/errors';
import type { ModelVersionRecord, VersionQuery } from '@tandem/offline-store/models/model-versions';
import type { ArchiveChange, LabelMove, MovedLabel } from '@tandem/offline-store/models/version-labels';
import type { PredictorRegistry } from '../predictors/predictor-view.ts';

export const ModelSchema = z
  .strictObject({
    predictor: z.string(),
    modelVersion: z.string().meta({ description: 'Its number' }),
    artifact: z.string().meta({ description: 'The SHA-256 of the model file, in hex' }),
    bytes: z.int().meta({ description: 'Of the file' }),
    createdAt: z.iso.datetime().meta({ description: 'When it was adopted or pushed first' }),
    archivedAt: z.iso.datetime().nullable().meta({
      description:
        'Since when it is archived: lists leave it out, and no rollout or rollback goes to it. null: it is not',
    }),
    origin: z
      .strictObject({
        by: z.string().meta({ description: '`key:<name>` of an API key, `api` where keys are off, `cli`' }),
        how: z.enum(['adopt', 'push']),
      })
      .meta({ description: 'Who brought it, and how: with a config, or by itself' }),
    variants: z.array(z.string()).meta({ description: 'The arms that name it; empty: nobody is served by it' }),
    labels: z.array(z.string()).meta({ description: 'Names that were given to it, and that may move' }),
    verified: z.boolean().meta({ description: 'Whether it has the certificate of its trial; labels move to no other' }),
    note: z.string(),
    metrics: z.record(z.string(), z.number()).meta({ description: 'As its owner gave them' }),
    build: z.string().nullable().meta({ description: 'The kind of an optimised build: `int8`, `pruned`, …' }),
    parent: z.string().nullable().meta({ description: 'The model version that an optimised build was made of' }),
    inputs: z
      .array(z.strictObject({ name: z.string(), type: z.string(), columns: z.array(z.string()) }))
      .meta({ description: 'The tensors that it takes, each filled from feature columns' }),
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
      .meta({
        description:
          'The fields of its predictions: from which tensor, and from which place of its row. `width` null: one value, else a vector',
      }),
  })
  .meta({ id: 'Model' });

type ModelView = z.output<typeof ModelSchema>;

export interface ModelDependencies {
  readonly models: {
    /** By predictor, the oldest of each first. */
    list(query?: VersionQuery): Promise<readonly ModelVersionRecord[]>;
    moveLabel(move: LabelMove): Promise<MovedLabel>;
    archive(change: ArchiveChange): Promise<void>;
  };
  readonly registry: PredictorRegistry;
}

/** The query parameter of lists. */
export const ARCHIVED_QUERY = z.object({
  archived: z
    .enum(['true', 'false'])
    .optional()
    .meta({ description: '`true`: archived model versions are listed too' }),
});

/** Returns the versions that a list shows. Throws `invalid_input` for another value of `archived`. */
export function listed(models: readonly ModelVersionRecord[], archived: string | undefined): ModelVersionRecord[] {
  if (archived !== undefined && archived !== 'true' && archived !== 'false') {
    throw new TandemError('invalid_input', `archived is ${JSON.stringify(archived.slice(0, 40))}.`, {
      field: 'archived',
      remedy: 'write true or false',
    });
  }
  return models.filter(({ archivedAt }) => archived === 'true' || archivedAt === null);
}

export function modelView(model: ModelVersionRecord): ModelView {
  const { predictor, number, artifactHash, size, createdAt, archivedAt, origin, arms, labels, inputs, outputs } = model;
  const { parity, note, metrics, build } = model;
  return {
    predictor,
    modelVersion: String(number),
    artifact: artifactHash,
    bytes: size,
    createdAt: createdAt.toISOString(),
    archivedAt: archivedAt?.toISOString() ?? null,
    origin,
    variants: [...arms],
    labels: [...labels],
    verified: parity !== null,
    note,
    metrics,
    build: build?.kind ?? null,
    parent: build === null ? null : String(build.parent),
    inputs: inputs.map(({ name, type, columns }) => ({ name, type, columns: [...columns] })),
    outputs: outputs.map(({ name, output, type, width, index }) => ({ name, output, type, width, index })),
  };
}
