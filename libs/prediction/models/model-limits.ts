/**
 * The limits of a model's cost. Every check, store and process uses the same limits, so a model that passes its check
 * can be served.
 */

/** The largest artifact, in bytes. It is one value in Postgres, and a child must hold it within its memory. */
export const MAX_MODEL_BYTES = 256 * 1024 * 1024;

const MIB = 1024 * 1024;

/** The same limit as a text. */
export const MAX_MODEL_SIZE = `${MAX_MODEL_BYTES / MIB} MiB`;

export const SMALLER_MODEL = 'export a smaller model: fewer or shallower trees, or int8 weights';

/**
 * Returns the problem of a file of this many bytes, as a text that follows the file's name. The size is rounded up, so
 * that it exceeds the limit in print.
 */
export function tooLargeForModel(bytes: number, most: number = MAX_MODEL_BYTES): string {
  return `has ${Math.ceil((bytes / MIB) * 10) / 10} MiB, more than the ${most / MIB} MiB that a model file may have`;
}

/** Default resident memory in MB of a process that runs models; without a model it takes about 100. */
export const INFERENCE_MEMORY_MB = 512;

/** The least memory limit in MB: with less, a process could not start and load a small model. */
export const LEAST_INFERENCE_MEMORY_MB = 256;

/** Default number of users that may wait for a live answer in one process; further users are rejected as overloaded. */
export const LIVE_QUEUE_USERS = 10_000;

/**
 * Default number of users in one live run. With a model that takes 1 ms for one user, mostly for weights, 256 users
 * take about 20 ms.
 */
export const LIVE_RUN_USERS = 256;

/** Resident memory in MB of a process without models, once ONNX Runtime has started. */
export const PROCESS_MB = 128;

/**
 * Returns the memory that loaded models may take in a process with this limit in MB. A quarter is left for loads and
 * runs.
 */
export function modelsBytes(memoryLimitMb: number): number {
  return (memoryLimitMb - PROCESS_MB) * MIB * 0.75;
}

/** Returns the problem of a model that alone needs more memory than the limit, and the remedy. */
export function tooLargeForChild(
  bytes: number,
  memoryLimitMb: number,
): [text: string, help: { readonly remedy: string }] {
  const most = Math.floor(modelsBytes(memoryLimitMb) / MIB);
  const text = `the model takes ${Math.ceil(bytes / MIB)} MB of memory, more than the ${most} MB that models may take in an inference process`;
  const remedy = `raise INFERENCE_MEMORY_MB, which is ${memoryLimitMb}, or ${SMALLER_MODEL}`;
  return [text, { remedy }];
}
