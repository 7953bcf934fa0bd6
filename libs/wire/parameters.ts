/** Path parameters, and headers that several answers have. */
import { z } from 'zod';
import { ARTIFACT_EXAMPLE } from './artifacts.ts';
import { KEPT_EXPLANATION_EXAMPLE } from './kept-explanations.ts';

const predictorParameter = z
  .string()
  .meta({ param: { name: 'predictor', in: 'path' }, description: "The predictor's name", example: 'repurchase' });

const userIdParameter = z.string().meta({
  param: { name: 'userId', in: 'path' },
  description: "The user id, in the canonical spelling of the key column's type",
  example: '42',
});

const rolloutIdParameter = z
  .uuid()
  .meta({ param: { name: 'id', in: 'path' }, example: '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2c22' });

const runIdParameter = z
  .uuid()
  .meta({ param: { name: 'id', in: 'path' }, example: '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2b11' });

const generationParameter = z
  .string()
  .meta({ param: { name: 'generation', in: 'path' }, description: 'Number of the generation', example: '18' });

export const versionParameter = z
  .string()
  .meta({ param: { name: 'version', in: 'path' }, description: "The model version's number", example: '2' });

const artifactParameter = z.string().meta({
  param: { name: 'sha256', in: 'path' },
  description: "The file's SHA-256: 64 hex digits in lower case",
  example: ARTIFACT_EXAMPLE.artifact,
});

const explanationIdParameter = z
  .uuid()
  .meta({ param: { name: 'id', in: 'path' }, example: KEPT_EXPLANATION_EXAMPLE.id });

export const PredictorPath = z.object({ predictor: predictorParameter });
export const UserPath = z.object({ userId: userIdParameter });
export const PredictionPath = z.object({ predictor: predictorParameter, userId: userIdParameter });
export const ExplanationPath = z.object({ userId: userIdParameter, predictor: predictorParameter });
export const KeptExplanationPath = z.object({ id: explanationIdParameter });
export const RunPath = z.object({ id: runIdParameter });
export const RolloutPath = z.object({ id: rolloutIdParameter });
export const RolloutUserPath = z.object({ id: rolloutIdParameter, userId: userIdParameter });
export const GenerationPath = z.object({ predictor: predictorParameter, generation: generationParameter });
export const ModelVersionPath = z.object({ predictor: predictorParameter, version: versionParameter });
export const ArtifactPath = z.object({ sha256: artifactParameter });

export const LabelPath = z.object({
  predictor: predictorParameter,
  label: z.string().meta({
    param: { name: 'label', in: 'path' },
    description: 'A lower-case letter, then at most 62 of a-z, 0-9, ., _ and -',
    example: 'challenger',
  }),
});

/** Returns the schema of the `Location` header, the path of the resource that a request created. */
export function locationHeader(example: string) {
  return z.object({ location: z.string().meta({ example }) });
}

export const OUTCOME_NAME = /^[A-Za-z][\w.:-]{0,99}$/;
