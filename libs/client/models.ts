/** Calls for model versions: list and push. An interrupted push is retried and resumes where it stopped. */
import { isProblem } from '@tandem/transport/client-errors';
import type { CallOptions } from '@tandem/transport/transport';
import { methodsOf, sha256, type Transport } from '@tandem/transport/transport';
import type { ArtifactView, ModelDetail, ModelView, MovedLabel, PushInput } from './wire.ts';
import type { ListModelsAnswer } from './wire-types.ts';

export interface PushOptions extends CallOptions {
  /** Called with the number of bytes that the service has received, and the size of the file. */
  readonly onProgress?: (sent: number, total: number) => void;
}

export interface ModelListOptions extends CallOptions {
  /** Whether to list archived versions as well. */
  readonly archived?: boolean;
}

export interface ModelCalls {
  /** Lists the model versions of one predictor or of all, newest first within each predictor. */
  models(predictor?: string, options?: ModelListOptions): Promise<readonly ModelView[]>;
  /** Returns a version with its query and the certificate of its trial. */
  modelVersion(predictor: string, version: string, options?: CallOptions): Promise<ModelDetail>;
  /**
   * Uploads the file in parts and pushes it. The version is tried on real users and stored if it passes, but does not
   * serve traffic yet. Retries failures for a while. Pushing the same file again gives the same model version.
   * `timeoutMs` limits the trial.
   */
  pushVersion(predictor: string, file: Uint8Array, push?: PushInput, options?: PushOptions): Promise<ModelDetail>;
  /**
   * Moves a label to a version.
   * @param version its number
   */
  moveLabel(predictor: string, label: string, version: string, options?: CallOptions): Promise<MovedLabel>;
  /**
   * Archives a version, or restores it. Lists and rollouts leave out archived versions.
   * @param version its number
   */
  archiveVersion(predictor: string, version: string, archived: boolean, options?: CallOptions): Promise<ModelDetail>;
}

/** Bytes of a part, which fits into a request's time even over a slow connection. */
const PART_BYTES = 1_048_576;
/**
 * Limit of a push. A trial takes minutes on a busy machine, and may wait for another. Node's `fetch` waits no longer
 * than this.
 */
const TRIAL_MS = 300_000;

/**
 * Creates the calls.
 * @param retryForMs for a push; each of its parts is safe to repeat
 */
export function modelCalls(transport: Transport, retryForMs: number): ModelCalls {
  const { get, post, put } = methodsOf(transport);
  const pathOf = (predictor: string) => `/v1/models/${encodeURIComponent(predictor)}`;
  const versionOf = (predictor: string, version: string) =>
    `${pathOf(predictor)}/versions/${encodeURIComponent(version)}`;
  return {
    models: async (predictor, { archived = false, ...call } = {}) => {
      const list = predictor === undefined ? '/v1/models' : pathOf(predictor);
      return (await get<ListModelsAnswer>(archived ? `${list}?archived=true` : list, call)).models;
    },
    modelVersion: (predictor, version, call) => get(versionOf(predictor, version), call),
    pushVersion: async (predictor, file, push = {}, { onProgress, timeoutMs = TRIAL_MS, signal } = {}) => {
      const artifact = await upload({ transport, retryForMs, signal, onProgress }, file);
      const call = { isRepeatable: true, timeoutMs, retryForMs, signal };
      return post(`${pathOf(predictor)}/versions`, call, { artifact, ...push });
    },
    moveLabel: (predictor, label, version, call) =>
      put(`${pathOf(predictor)}/labels/${encodeURIComponent(label)}`, call, { version }),
    archiveVersion: (predictor, version, archived, call) =>
      put(`${versionOf(predictor, version)}/archived`, call, { archived }),
  };
}

interface UploadParts {
  readonly signal: AbortSignal | undefined;
  readonly onProgress: PushOptions['onProgress'] | undefined;
  readonly transport: Transport;
  readonly retryForMs: number;
}

/** Returns the SHA-256 of the stored file. */
async function upload(
  { transport, retryForMs, signal, onProgress = () => undefined }: UploadParts,
  file: Uint8Array,
): Promise<string> {
  const { get, put } = methodsOf(transport);
  const hash = await sha256(file);
  const path = `/v1/artifacts/${hash}`;
  let { received } = await get<Pick<ArtifactView, 'received'>>(path, { retryForMs, signal }).catch((error: unknown) => {
    if (isProblem(error, 'unknown_artifact')) return { received: 0 };
    throw error;
  });
  onProgress(received, file.length);
  while (received < file.length) {
    const last = Math.min(received + PART_BYTES, file.length) - 1;
    ({ received } = await put<ArtifactView>(path, {
      bytes: file.subarray(received, last + 1),
      headers: { 'content-range': `bytes ${received}-${last}/${file.length}` },
      contentType: 'application/octet-stream',
      isRepeatable: true,
      retryForMs,
      signal,
    }));
    onProgress(received, file.length);
  }
  return hash;
}
