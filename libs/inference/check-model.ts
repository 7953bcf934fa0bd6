/**
 * Tries a model before anybody depends on it: in a child of its own, under bounds on time and memory, since all that is
 * known of the file is that somebody sent it. It answers with what the model takes and gives, or with why it is refused.
 */
import { createHash } from 'node:crypto';
import { TandemError } from '@tandem/prediction/errors';
import type { FeatureBatch } from '@tandem/prediction/features';
import { INFERENCE_MEMORY_MB, MAX_MODEL_BYTES } from '@tandem/prediction/model-limits';
import { type OutputTensors, outputFault } from '@tandem/prediction/outputs';
import type { FeatureColumn, ModelDefinition } from '@tandem/prediction/predictor';
import { type InferenceProcess, ProcessEnded, startInferenceProcess } from './inference-process.ts';
import { encodeInputs, joinInputs } from './input-tensors.ts';
import { readOutputs } from './output-tensors.ts';
import type { Signature } from './protocol.ts';
import { checkSignature, refuse } from './signature.ts';

export interface CheckLimits {
  readonly maxBytes?: number;
  /** Resident memory that loading and a trial may take: that of the processes which will serve it. */
  readonly memoryLimitMb?: number;
  readonly loadTimeoutMs?: number;
  /** Of one trial run of up to three users. */
  readonly trialTimeoutMs?: number;
  /** Where the file is named in the config, for messages: `predictors.repurchase.model`. */
  readonly field?: string;
}

const DEFAULTS = {
  maxBytes: MAX_MODEL_BYTES,
  memoryLimitMb: INFERENCE_MEMORY_MB,
  loadTimeoutMs: 10_000,
  trialTimeoutMs: 10_000,
  field: 'model',
};
type Limits = typeof DEFAULTS;
const SESSION = 'trial';

/** What a model declares. Throws `model_refused` where it cannot be loaded within the limits. */
export function inspectModel(bytes: Uint8Array, limits: CheckLimits = {}): Promise<Signature> {
  return withModel(bytes, null, { ...DEFAULTS, ...limits }, async (_, signature) => signature);
}

export interface CheckOptions extends CheckLimits {
  /** Real users' features to try; default: made-up rows of zeros, ones and halves. */
  readonly sample?: FeatureBatch;
}

/**
 * Whether the model does what the definition says: its signature fits, and trial runs of 1 and of 3 users give each
 * user one finite answer. Throws `model_refused`. What only some users' features bring about shows when they are scored.
 */
export function checkModel(
  definition: ModelDefinition,
  bytes: Uint8Array,
  options: CheckOptions = {},
): Promise<Signature> {
  const limits = { ...DEFAULTS, field: `predictors.${definition.predictor}.model`, ...options };
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== definition.artifactHash) {
    const text = `the file's sha256 is ${actual}, but the definition was made for ${definition.artifactHash}`;
    return Promise.reject(refuse(limits.field, text, 'Check the file that the definition names.'));
  }
  return withModel(bytes, actual, limits, async (process, signature) => {
    checkSignature(definition, signature);
    await tryModel(process, definition, options.sample ?? madeUpRows(definition.query.columns), limits);
    return signature;
  });
}

async function withModel<T>(
  bytes: Uint8Array,
  sha256: string | null,
  limits: Limits,
  work: (process: InferenceProcess, signature: Signature) => Promise<T>,
): Promise<T> {
  const { maxBytes, memoryLimitMb, loadTimeoutMs, field } = limits;
  if (bytes.length > maxBytes) {
    const text = `the file has ${bytes.length} bytes, more than the ${maxBytes} that a model may have`;
    throw refuse(field, text, 'Make it smaller: fewer or shallower trees, or int8 weights.');
  }
  const process = startInferenceProcess({ memoryLimitMb, boundData: true, startTimeoutMs: 10_000 });
  try {
    await process.ready;
    const { signature } = await process.load({ session: SESSION, bytes, sha256 }, [], loadTimeoutMs).catch((error) => {
      throw asRefusal(error, 'loading the model', limits);
    });
    return await work(process, signature);
  } finally {
    process.kill('the trial is over');
    await process.ended;
  }
}

/** A single run for each row, so that one that a model dislikes does not speak for all, then three users at once. */
async function tryModel(process: InferenceProcess, definition: ModelDefinition, sample: FeatureBatch, limits: Limits) {
  const good: number[] = [];
  let problem: string | null = null;
  for (let row = 0; row < Math.min(3, sample.userIds.length); row++) {
    const fault = sample.faults.get(row) ?? (await tryRows(process, definition, sample, [row], limits));
    if (fault === null) good.push(row);
    else problem ??= fault;
  }
  const [first] = good;
  if (first === undefined) throw trialFailed(limits, `one user at a time: ${problem ?? 'there is no user to try'}`);
  const three = [0, 1, 2].map((i) => good[i % good.length] ?? first);
  const fault = await tryRows(process, definition, sample, three, limits);
  if (fault !== null) throw trialFailed(limits, `three users at once, though not one at a time: ${fault}`);
}

/** Why the rows have no usable answer, or null. Throws where the model took the child with it. */
async function tryRows(
  process: InferenceProcess,
  definition: ModelDefinition,
  sample: FeatureBatch,
  rows: readonly number[],
  limits: Limits,
): Promise<string | null> {
  const { inputs, outputs } = definition;
  const fetches = [...new Set(outputs.map((field) => field.output))];
  try {
    const feeds = joinInputs([encodeInputs(inputs, sample, rows)], rows.length);
    const tensors = readOutputs(await process.run(SESSION, feeds, fetches, limits.trialTimeoutMs), rows.length);
    return faultOfAny(definition, tensors, rows.length);
  } catch (error) {
    if (error instanceof TandemError) return error.message;
    throw asRefusal(error, 'a trial run', limits);
  }
}

function faultOfAny({ outputs }: ModelDefinition, tensors: OutputTensors, rows: number): string | null {
  for (let row = 0; row < rows; row++) {
    const fault = outputFault(outputs, tensors, row);
    if (fault !== null) return fault;
  }
  return null;
}

function trialFailed({ field, memoryLimitMb }: Limits, problem: string): TandemError {
  const remedy = /allocate memory/.test(problem)
    ? `A model must score within ${memoryLimitMb} MB; export a smaller or simpler one.`
    : 'Run the model in Python on such rows: it must give each user one finite answer, whatever the batch.';
  return refuse(field, `the model failed its trial run with ${problem}`, remedy);
}

function asRefusal(error: unknown, doing: string, { field, memoryLimitMb }: Limits): unknown {
  if (error instanceof ProcessEnded) {
    const remedy = `A model must load and score within ${memoryLimitMb} MB and a few seconds; export a smaller or simpler one.`;
    return refuse(field, `${doing} had to be ended: ${error.message}`, remedy, error);
  }
  if (!(error instanceof TandemError)) return error;
  return refuse(
    field,
    error.message,
    error.remedy ?? 'Export the model again, for ONNX Runtime 1.30 (opset 26 or below).',
    error,
  );
}

/** Zeros, ones and halves where the column's kind has them: values that any model should bear. */
function madeUpRows(columns: readonly FeatureColumn[]): FeatureBatch {
  const valuesOf = ({ kind }: FeatureColumn) => {
    if (kind === 'string') return ['', 'a', 'b'];
    return kind === 'number' ? [0, 1, 0.5] : [0, 1, 0];
  };
  return {
    history: '',
    readAt: 0,
    userIds: ['made up 1', 'made up 2', 'made up 3'],
    contextVersions: [0, 0, 0],
    columns,
    values: columns.map(valuesOf),
    faults: new Map(),
  };
}
