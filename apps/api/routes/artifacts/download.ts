/**
 * GET /v1/artifacts/{sha256}/file: an uploaded model file, sent in pieces. Its hash is checked before the first piece.
 */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { TandemError } from '@tandem/freshness/errors';
import { FileSchema } from '@tandem/wire/documents';
import { ArtifactPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { hashIn } from './artifact-checks.ts';

const PIECE_BYTES = 262_144;
/**
 * Milliseconds for sending a file, which keeps its place in memory meanwhile. A client that is slower must retry with a
 * faster connection.
 */
const SEND_WITHIN_MS = 300_000;

export function downloadArtifact({ artifacts, downloadRoom }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'downloadArtifact',
    method: 'get',
    path: '/v1/artifacts/{sha256}/file',
    tag: 'models',
    summary: 'Download a model file',
    description:
      'Returns the file as it was uploaded or adopted. Concurrent downloads are limited; 503 `overloaded` says when to retry.',
    scope: 'models:read',
    params: ArtifactPath,
    answer: {
      type: 'application/octet-stream',
      description: 'The file',
      schema: FileSchema,
      headers: {
        'content-digest': { description: 'SHA-256 of the file (RFC 9530)', schema: { type: 'string' } },
      },
    },
    problems: ['unknown_artifact', 'invalid_input', 'model_refused', 'overloaded', 'unavailable'],
    async handle({ req }, event) {
      const hash = hashIn(req.param('sha256'));
      const size = await artifacts.sizeOf(hash);
      if (size === null) throw unknownArtifact(hash);
      event.add({ artifact: hash });
      if (req.method === 'HEAD') return fileResponse(hash, size, null);
      const { promise: response, resolve, reject } = Promise.withResolvers<Response>();
      const send = async () => {
        const bytes = await artifacts.get(hash);
        const { stream, ended } = streamOf(bytes);
        resolve(fileResponse(hash, size, stream));
        await ended;
      };
      downloadRoom.hold(send).catch(reject);
      return response;
    },
  });
}

function fileResponse(hash: string, size: number, stream: ReadableStream<Uint8Array> | null): Response {
  return new Response(stream, {
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': String(size),
      'content-digest': `sha-256=:${Buffer.from(hash, 'hex').toString('base64')}:`,
      'content-disposition': 'attachment; filename="model.onnx"',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    },
  });
}

/**
 * Returns a stream of the bytes. `ended` resolves when the client has read all bytes, when it has disconnected, or when
 * the time limit has passed.
 */
function streamOf(bytes: Uint8Array): { stream: ReadableStream<Uint8Array>; ended: Promise<void> } {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let at = 0;
  let timer: NodeJS.Timeout | undefined;
  const finish = () => {
    clearTimeout(timer);
    end();
  };
  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        timer = setTimeout(() => {
          controller.error(new Error(`the client did not read the file within ${SEND_WITHIN_MS} ms`));
          end();
        }, SEND_WITHIN_MS).unref();
      },
      pull(controller) {
        // A copy, because the reader of the stream may detach the buffer.
        controller.enqueue(bytes.slice(at, at + PIECE_BYTES));
        at += PIECE_BYTES;
        if (at < bytes.length) return;
        controller.close();
        finish();
      },
      cancel: finish,
    },
    { highWaterMark: 0 },
  );
  return { stream, ended };
}

function unknownArtifact(hash: string): TandemError {
  return new TandemError('unknown_artifact', 'No complete file has this SHA-256.', {
    field: 'sha256',
    remedy: `GET /v1/artifacts/${hash} shows which part has arrived`,
  });
}
