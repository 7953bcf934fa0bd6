/** Calls for optimised builds: downloads a model file, and compares a build with its parent. */
import { UnreachableError } from '@tandem/transport/client-errors';
import { type RetryOptions, retry } from '@tandem/transport/retry';
import type { CallOptions } from '@tandem/transport/transport';
import { methodsOf, sha256, type Transport } from '@tandem/transport/transport';
import type { BuildComparison, ComparisonInput } from './wire.ts';

export type { BuildComparison, ComparedPace, ComparedVersion, ComparisonInput } from './wire.ts';

export interface BuildCalls {
  /**
   * Returns the file of a model version, checked against its SHA-256. `timeoutMs` limits the time to the first byte.
   */
  artifactFile(artifact: string, options?: CallOptions): Promise<Uint8Array>;
  /**
   * Compares a build with its parent. Retries while other models are being tried. `timeoutMs` limits one attempt.
   * @param version the build's number
   */
  compareBuild(
    predictor: string,
    version: string,
    comparison?: ComparisonInput,
    options?: CallOptions,
  ): Promise<BuildComparison>;
}

/**
 * Limit of one attempt. A comparison takes minutes on a busy machine, and may wait for a trial. Node's `fetch` waits no
 * longer than this.
 */
const COMPARISON_MS = 300_000;

export function buildCalls(transport: Transport, patience: RetryOptions): BuildCalls {
  return {
    artifactFile: async (artifact, { signal, timeoutMs } = {}) => {
      const path = `/v1/artifacts/${encodeURIComponent(artifact)}/file`;
      const headers = { accept: 'application/octet-stream, application/problem+json' };
      return retry(patience, signal, async () => {
        const stream = await transport.stream({ path, headers, timeoutMs, signal });
        const bytes = new Uint8Array(await new Response(stream).arrayBuffer().catch((cause) => brokenOff(path, cause)));
        return (await sha256(bytes)) === artifact ? bytes : brokenOff(path);
      });
    },
    compareBuild: async (predictor, version, body = {}, { timeoutMs = COMPARISON_MS, signal } = {}) => {
      const path = `/v1/models/${encodeURIComponent(predictor)}/versions/${encodeURIComponent(version)}/comparison`;
      const { retryForMs } = patience;
      return methodsOf(transport).post(path, { isRepeatable: true, timeoutMs, retryForMs, signal }, body);
    },
  };
}

function brokenOff(path: string, cause?: unknown): never {
  throw new UnreachableError(path, false, 'the file is damaged or incomplete', cause);
}
