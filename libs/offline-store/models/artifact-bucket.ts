/**
 * Stores artifacts in a bucket with the S3 protocol: Amazon S3, MinIO, R2, Ceph. There is one object per file. The
 * file's SHA-256 is part of the signed request, so the bucket rejects other bytes, and each reader hashes the bytes
 * again.
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

/** The time limit in ms for the transfer of one file: 256 MiB at 70 Mbit/s. */
const TIMEOUT_MS = 30_000;
const RETRIES = 2;
/** The SHA-256 of an empty body, for a GET. */
const NO_BODY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/**
 * Creates the store. A location is an object's key. Bucket and endpoint come from the environment, so they may change.
 */
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
      // S3 answers 204 even if there is no object; some services answer 404.
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

/**
 * Returns the error of a rejected request. The operator must fix wrong rights and names; until then the bucket counts
 * as unavailable.
 */
async function refused(response: Response): Promise<TandemError> {
  const text = await response.text().catch(() => '');
  return unavailable(`HTTP ${response.status} ${/<Code>([\w.]+)<\/Code>/.exec(text)?.[1] ?? ''}`.trim());
}

function unavailable(detail: string, cause?: unknown): TandemError {
  return new TandemError('unavailable', 'The bucket of model files does not answer at the moment.', {
    detail,
    retryAfter: 5,
    remedy: 'retry after the time in Retry-After; check ARTIFACT_URL and its keys',
    ...(cause === undefined ? {} : { cause }),
  });
}
