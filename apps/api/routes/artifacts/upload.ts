/**
 * PUT /v1/artifacts/{sha256}: uploads a model file, whole or in parts. It is safe to repeat, and received bytes are not
 * read again. Each part fits into the time limit of a request, even over a slow connection. An interruption loses at
 * most one part.
 */

import { jsonResponse, refuseContentEncoding, requireMediaType } from '@tandem/endpoints/body';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { type ContentRange, digestIn, rangeIn, readFileBody } from '@tandem/endpoints/file-headers';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import {
  MAX_MODEL_BYTES,
  MAX_MODEL_SIZE,
  SMALLER_MODEL,
  tooLargeForModel,
} from '@tandem/prediction/models/model-limits';
import { ARTIFACT_EXAMPLE, ArtifactSchema, type ArtifactView } from '@tandem/wire/artifacts';
import { FileSchema } from '@tandem/wire/documents';
import { ArtifactPath } from '@tandem/wire/parameters';
import type { Context } from 'hono';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { hashIn, otherFile, refuseOverLimit } from './artifact-checks.ts';

const LEAST_PART = 262_144;
const MOST_PART = 8_388_608;
const WHOLE = { most: MAX_MODEL_BYTES, remedy: SMALLER_MODEL };
const PART = { most: MOST_PART, remedy: 'send smaller parts' };

const json = (example: ArtifactView) => ({
  content: { 'application/json': { schema: ArtifactSchema, example } },
});

export function uploadArtifact(dependencies: RouteDependencies) {
  return defineEndpoint({
    operationId: 'uploadArtifact',
    method: 'put',
    path: '/v1/artifacts/{sha256}',
    tag: 'models',
    summary: 'Upload a model file',
    description: `Stores a file of up to ${MAX_MODEL_SIZE}; repeating the upload changes nothing. A request must arrive within seconds.
Send a file that would take longer in parts of ${LEAST_PART / 1024} KiB to ${MOST_PART / 1_048_576} MiB, each with
\`Content-Range: bytes <first>-<last>/<total>\`; after an interruption, GET says where to resume. If \`Content-Digest\` (RFC
9530, sha-256) is sent, the body is checked against it. Parts of an unfinished upload are kept for a day.`,
    scope: 'models:write',
    params: ArtifactPath,
    bodies: { 'application/octet-stream': { schema: FileSchema } },
    answer: {
      description: 'The file existed already; the body was not read',
      schema: ArtifactSchema,
      example: ARTIFACT_EXAMPLE,
    },
    otherAnswers: {
      201: { description: 'The file is stored', ...json(ARTIFACT_EXAMPLE) },
      202: {
        description: 'The part is stored; other parts are missing',
        ...json({ ...ARTIFACT_EXAMPLE, received: 1_048_576, complete: false }),
      },
    },
    problems: ['model_refused', 'request_timeout', 'overloaded', 'unavailable'],
    async handle(context, event) {
      const { req } = context;
      const hash = hashIn(req.param('sha256'));
      refuseContentEncoding(req.header('content-encoding'));
      requireMediaType(req.header('content-type'), ['application/octet-stream']);
      const range = rangeIn(req.header('content-range'));
      const size = await dependencies.artifacts.renew(hash);
      event.add({ artifact: hash, ...(range === undefined ? {} : { firstByte: range.first }) });
      if (size !== null) return jsonResponse(viewOf(hash, size, size));
      return range === undefined
        ? takeWhole(dependencies, context, hash)
        : takePart(dependencies, context, hash, range);
    },
  });
}

async function takeWhole(dependencies: RouteDependencies, context: Context, hash: string): Promise<Response> {
  return dependencies.uploadRoom.hold(async () => {
    const { bytes, sha256 } = await readChecked(context, WHOLE);
    if (sha256 !== hash) throw otherFile(hash, sha256, 'sha256');
    await refuseOverLimit(dependencies.uploads, bytes.length);
    await dependencies.artifacts.put(hash, bytes);
    return jsonResponse(viewOf(hash, bytes.length, bytes.length), 201);
  });
}

async function takePart(
  dependencies: RouteDependencies,
  context: Context,
  hash: string,
  { first, last, total }: ContentRange,
): Promise<Response> {
  const { artifactParts, partRoom, uploadRoom, uploads } = dependencies;
  const length = last - first + 1;
  if (total > MAX_MODEL_BYTES) {
    throw new TandemError('body_too_large', `The file ${tooLargeForModel(total)}.`, { remedy: WHOLE.remedy });
  }
  if (length > MOST_PART || (length < LEAST_PART && last + 1 < total)) throw partSize();
  const received = await partRoom.hold(async () => {
    const { bytes } = await readChecked(context, PART);
    if (bytes.length !== length) throw otherLength(length, bytes.length);
    await refuseOverLimit(uploads, length);
    return artifactParts.keep({ hash, firstByte: first, total, bytes });
  });
  if (received < total) return jsonResponse(viewOf(hash, total, received), 202);
  return uploadRoom.hold(() => joinParts(dependencies, hash, total));
}

async function joinParts(
  { artifacts, artifactParts }: RouteDependencies,
  hash: string,
  total: number,
): Promise<Response> {
  const file = await artifactParts.join(hash, total);
  const isPut = await artifacts.put(hash, file).then(
    () => true,
    async (error: unknown) => {
      // If the store failed, the client may send the last part again.
      if (!isTandemError(error, 'model_refused')) throw error;
      // Another upload of the same parts may have completed the file and dropped the parts.
      if ((await artifacts.renew(hash)) !== null) return false;
      // One of the parts is wrong. It is unknown which, so all are dropped.
      await artifactParts.drop(hash);
      throw error;
    },
  );
  await artifactParts.drop(hash);
  return jsonResponse(viewOf(hash, total, total), isPut ? 201 : 200);
}

async function readChecked({ req }: Context, bounds: typeof WHOLE) {
  const said = digestIn(req.header('content-digest'));
  const file = await readFileBody(req.raw, bounds);
  if (said !== undefined && said !== file.sha256) throw otherFile(said, file.sha256, 'Content-Digest');
  return file;
}

function viewOf(artifact: string, bytes: number, received: number): ArtifactView {
  return { artifact, bytes, received, complete: received === bytes };
}

function partSize(): TandemError {
  return new TandemError(
    'malformed_request',
    `A part must have ${LEAST_PART} to ${MOST_PART} bytes; only the last part may be shorter.`,
    {
      field: 'Content-Range',
      remedy: 'send parts of 1 MiB',
    },
  );
}

function otherLength(said: number, found: number): TandemError {
  return new TandemError('malformed_request', `Content-Range names ${said} bytes, but the body has ${found}.`, {
    field: 'Content-Range',
    remedy: 'send exactly the bytes of the range; the first and the last byte are included',
  });
}
