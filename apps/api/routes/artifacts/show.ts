/** GET /v1/artifacts/{sha256}: whether a model file is stored, and how much of it. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { TandemError } from '@tandem/freshness/errors';
import { ARTIFACT_EXAMPLE, ArtifactSchema } from '@tandem/wire/artifacts';
import { ArtifactPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { hashIn } from './artifact-checks.ts';

export function showArtifact({ artifacts, artifactParts }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'showArtifact',
    method: 'get',
    path: '/v1/artifacts/{sha256}',
    tag: 'models',
    summary: 'Show the state of a model file',
    scope: 'models:read',
    params: ArtifactPath,
    answer: {
      description: 'The file or a part of it has arrived. `received` is the byte at which an upload resumes',
      schema: ArtifactSchema,
      example: ARTIFACT_EXAMPLE,
    },
    problems: ['unknown_artifact', 'invalid_input', 'unavailable'],
    async handle({ req }) {
      const artifact = hashIn(req.param('sha256'));
      const size = await artifacts.sizeOf(artifact);
      if (size !== null) return { artifact, bytes: size, received: size, complete: true };
      const received = await artifactParts.received(artifact);
      if (received > 0) return { artifact, bytes: null, received, complete: false };
      throw new TandemError('unknown_artifact', 'There is no artifact with this SHA-256.', {
        field: 'sha256',
        remedy: `upload it: PUT /v1/artifacts/${artifact}`,
      });
    },
  });
}
