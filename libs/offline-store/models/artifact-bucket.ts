/**
 * Artifacts in a bucket that speaks S3: Amazon's, MinIO, R2, Ceph. One object a file, named by its SHA-256, which is
 * part of the signed request: the bucket itself rejects other bytes, and each reader hashes them again.
 */
import { randomUUID } from 'node:crypto';
import { TandemError } from '@tandem/freshness/errors';
import { MAX_MODEL_BYTES } from '@tandem/prediction/models/model-limits';
import { AwsClient } from 'aws4fetch';
import type { Bucket } from './artifacts.ts';

export interface BucketOptions {
  readonly bucket: string;
  readonly prefix: string;
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Milliseconds for one file, either way: 256 MiB at 70 Mbit/s. */
const TIMEOUT_MS = 30_000;
const RETRIES = 2;
/** SHA-256 of nothing: a GET has no body. */
const NO_BODY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** A location is the object's key; bucket and endpoint may move, and are where the environment says. */
export function createBucket({ bucket, prefix, endpoint, ...keys }: BucketOptions): Bucket {
  const client = new AwsClient({ ...keys, service: 's3', retries: RETRIES });
  const base = `${endpoint.replace(/\/+$/, '')}/${bucket}`;
  const ask = async (
    method: 'PUT' | 'GET' | 'DELETE',
    key: string,
    sha256: string,
    body?: Uint8Array,
  ): Promise<Response> => {
    const init = { method, headers: { 'x-amz-content-sha256': sha256 }, signal: AbortSignal.timeout(TIMEOUT_MS) };
    return client
      .fetch(`${base}/${key}`, body === undefined ? init : { ...init, body: body as Uint8Array<ArrayBuffer> })
      .catch((cause: unknown) => {
        throw unavailable(cause instanceof Error ? cause.message : String(cause), cause);
      });
  };
  return {
    newLocation: (hash) => `${prefix === '' ? '' : `${prefix}/`}${hash}-${randomUUID()}`,
    async put(location, hash, bytes) {
      const response = await ask('PUT', location, hash, bytes);
      if (!response.ok) throw await refused(response);
      await response.body?.cancel();
    },
    async remove(location) {
      const response = await ask('DELETE', location, NO_BODY);
      // S3 answers 204 also where there is none; some services say 404.
      if (!response.ok && response.status !== 404) throw await refused(response);
      await response.body?.cancel();
    },
    async get(location) {
      const response = await ask('GET', location, NO_BODY);
      if (response.status === 404) return null;
      if (!response.ok) throw await refused(response);
      return readBounded(response);
    },
  };
}

/** Reads at most the size of the largest permitted model. */
async function readBounded(response: Response): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      if (size > MAX_MODEL_BYTES) break;
      chunks.push(chunk);
    }
  } catch (cause) {
    throw unavailable('the response was truncated', cause);
  }
  return Buffer.concat(chunks);
}

/** The operator has to fix wrong rights and names; until then the bucket counts as unavailable. */
async function refused(response: Response): Promise<TandemError> {
  const text = await response.text().catch(() => '');
  return unavailable(`HTTP ${response.status} ${/<Code>([\w.]+)<\/Code>/.exec(text)?.[1] ?? ''}`.trim());
}

function unavailable(detail: string, cause?: unknown): TandemError {
  return new TandemError('unavailable', 'The bucket of model files does not answer at the moment.', {
    detail,
    retryAfter: 5,
    remedy: 'try again after the time in Retry-After; check ARTIFACT_URL and its keys',
    ...(cause === undefined ? {} : { cause }),
  });
}
