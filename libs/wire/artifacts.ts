/** A model file, identified by its SHA-256: complete, or still being uploaded. */
import { z } from 'zod';
import type { Answered } from './schema.ts';

export const ARTIFACT_HASH = /^[0-9a-f]{64}$/;

export const ArtifactSchema = z
  .strictObject({
    artifact: z.string().meta({ description: 'The SHA-256 of the file, in hex' }),
    bytes: z.int().nullable().meta({ description: 'Size of the whole file; null until its size is known' }),
    received: z.int().meta({ description: 'Bytes received without a gap: the offset at which an upload resumes' }),
    complete: z.boolean(),
  })
  .meta({ id: 'Artifact' });

export type ArtifactView = Answered<typeof ArtifactSchema>;

export const ARTIFACT_EXAMPLE = {
  artifact: '5f1c0b7d9e3a46288c1d7f60b2a94e53d80c6f17a5b4e2939d0f8c7a6b5e4d3c',
  bytes: 1_830_412,
  received: 1_830_412,
  complete: true,
} satisfies ArtifactView;
