/**
 * Tries a model before it may serve. Its file is not trusted, so a child process with limits on time and memory loads
 * it. Returns the model's inputs and outputs, or the reason for a rejection.
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelDefinition } from '@tandem/freshness/predictor';
import { isTensorType } from '@tandem/prediction/models/input-fit';
import {
  INFERENCE_MEMORY_MB,
  MAX_MODEL_BYTES,
  modelsBytes,
  SMALLER_MODEL,
  tooLargeForChild,
  tooLargeForModel,
} from '@tandem/prediction/models/model-limits';
import { valuesPerUser } from '@tandem/prediction/models/output-fit';
import { isFixed, type Verification } from '@tandem/prediction/models/verification';
import { readFacts } from '../model-file/model-facts.ts';
import { InferenceProcess, type ProcessEnd, ProcessEnded, START_LIMIT } from '../process/inference-process.ts';
import type { Signature, SignatureTensor, TensorData, WireTensor } from '../process/protocol.ts';
import { cpuLimit, type TimeLimit } from '../process/time-limit.ts';
import { allocate } from '../tensors/fill-tensor.ts';
import { toleranceOf } from './parity.ts';
import { checkSignature, createWidthCheck, refuse } from './signature.ts';
import { type TrialCost, type TrialResult, tryModel } from './trial.ts';
import { createTrialRuns } from './trial-runs.ts';
import { gatherUsers } from './trial-users.ts';

/** Limits of a trial that differ from the defaults. */
export interface TrialLimits {
  readonly loadLimit?: TimeLimit;
  /** Time limit of one trial run, with any number of users. */
  readonly runLimit?: TimeLimit;
  /** Time limit of all trial runs together. A slow model is tried with fewer users. */
  readonly totalLimit?: TimeLimit;
  /** Niceness of the child above that of this process. Default: that of a serving child. */
  readonly niceSteps?: number;
}

interface CheckLimits extends TrialLimits {
  readonly maxBytes?: number;
  /** Limit of resident memory for the load and the trial; the same as in the serving processes. */
  readonly memoryLimitMb?: number;
  /** The setting of the file in the config, for messages: `predictors.repurchase.model`. */
  readonly field?: string;
}

const DEFAULTS = {
  maxBytes: MAX_MODEL_BYTES,
  memoryLimitMb: INFERENCE_MEMORY_MB,
  loadLimit: cpuLimit(10_000),
  runLimit: cpuLimit(10_000),
  totalLimit: cpuLimit(30_000),
  field: 'model',
};
type Limits = typeof DEFAULTS & Pick<CheckLimits, 'niceSteps'>;
const SESSION = 'trial';

/** Returns the signature that a model declares. Throws `model_refused` if it cannot be loaded within the limits. */
export function inspectModel(bytes: Uint8Array, limits: CheckLimits = {}): Promise<Signature> {
  return withModel(bytes, null, { ...DEFAULTS, ...limits }, async (_, signature) => signature);
}

/**
 * Returns the signature like `inspectModel`, with the sizes of outputs from a run, if a run is possible with the
 * signature alone.
 */
export function measureModel(bytes: Uint8Array, limits: CheckLimits = {}): Promise<Signature> {
  const all = { ...DEFAULTS, ...limits };
  return withModel(bytes, null, all, (process, signature) => measureOutputs(process, SESSION, signature, all.runLimit));
}

/** The users for the trial of a model. */
interface TrialUsers {
  /**
   * Features of real users, of which the first `SAMPLE_USERS` are tried (trial-users.ts). Made-up users are tried as
   * well.
   */
  readonly sample?: FeatureBatch;
  /** Further real users, in the same order, with their features as a live read and as a run read them. */
  readonly bothWays?: { readonly live: FeatureBatch; readonly run: FeatureBatch };
  /** Fields without index and width in the config, for which the model must give one value for each user. */
  readonly unplaced?: readonly string[];
}

interface CheckOptions extends CheckLimits, TrialUsers {}

/** The facts about a model that may serve. */
export interface CheckedModel extends Verification {
  readonly signature: Signature;
  readonly cost: TrialCost;
  /** Resident memory of the process after the model was loaded. */
  readonly rssBytes: number;
}

/**
 * Checks that the model matches its definition: its signature fits, and trial runs give each user one finite answer.
 * The answer must be the same alone, repeated, and in batches of several sizes and orders. Throws `model_refused` with
 * the deviation.
 *
 * The trial does not fail for a user that the model rejects, or whose output is not a number. Such a user fails alone
 * when scored, and the certificate counts these users. The trial fails if this happens to all users or to all real
 * users, if the number of rows differs from the number of users, or if the process dies.
 */
export async function checkModel(
  definition: ModelDefinition,
  bytes: Uint8Array,
  options: CheckOptions = {},
): Promise<CheckedModel> {
  const limits = { field: `predictors.${definition.predictor}.model`, ...options };
  return withOpenModel({ bytes, sha256: definition.artifactHash }, limits, (model) => model.check(definition, options));
}

/** A model that is loaded in a separate child. */
export interface OpenModel {
  /** The declared signature. */
  readonly signature: Signature;
  /** Checks the model like `checkModel`, in the same child. */
  check(definition: ModelDefinition, users: TrialUsers): Promise<CheckedModel>;
}

/**
 * Loads the model for the duration of the work, so that one child can inspect and try the model. Rejects as
 * `inspectModel` does.
 */
export function withOpenModel<T>(
  { bytes, sha256 }: { readonly bytes: Uint8Array; readonly sha256: string },
  limits: CheckLimits,
  work: (model: OpenModel) => Promise<T>,
): Promise<T> {
  const all = { ...DEFAULTS, ...limits };
  // The child hashes the file, since hashing a large file in this process would delay every request by 0.2 s.
  return withModel(bytes, sha256, all, (process, signature, rssBytes) =>
    work({
      signature,
      async check(definition, users) {
        checkSignature(definition, signature);
        const result = await tryOut(process, definition, signature, all, users).catch((error) => {
          throw asRefusal(error, 'a trial run', all);
        });
        const facts = readFacts(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
        return { signature, metadata: { ...signature, ...facts, bytes: bytes.length }, rssBytes, ...result };
      },
    }),
  );
}

function tryOut(
  process: InferenceProcess,
  definition: ModelDefinition,
  signature: Signature,
  { field, runLimit, totalLimit }: Limits,
  { sample, bothWays, unplaced = [] }: TrialUsers,
): Promise<TrialResult> {
  const checkWidths = createWidthCheck(definition, signature, new Set(unplaced));
  const { batch, ...users } = gatherUsers(definition, sample, bothWays);
  const limits = { run: runLimit, total: totalLimit };
  const runs = createTrialRuns({ process, session: SESSION, definition, batch, checkWidths, limits, field });
  return tryModel(runs, {
    definition,
    batch,
    ...users,
    tolerance: toleranceOf(definition, takesHalves(definition, signature)),
    totalCpuMs: totalLimit.cpuMs,
    field,
  });
}

async function withModel<T>(
  bytes: Uint8Array,
  sha256: string | null,
  limits: Limits,
  work: (process: InferenceProcess, signature: Signature, rssBytes: number) => Promise<T>,
): Promise<T> {
  const { maxBytes, memoryLimitMb, loadLimit, niceSteps, field } = limits;
  if (bytes.length > maxBytes) {
    throw refuse(field, `the file ${tooLargeForModel(bytes.length, maxBytes)}`, SMALLER_MODEL);
  }
  const process = new InferenceProcess({ memoryLimitMb, boundData: true, startLimit: START_LIMIT, niceSteps });
  try {
    await process.ready;
    const loaded = await process.load({ session: SESSION, bytes, sha256 }, loadLimit).catch((error) => {
      throw asRefusal(error, 'loading the model', limits);
    });
    if (loaded.bytes > modelsBytes(memoryLimitMb)) {
      const [text, { remedy }] = tooLargeForChild(loaded.bytes, memoryLimitMb);
      throw refuse(field, text, remedy);
    }
    refuseEmpty(loaded.signature, field);
    return await work(process, loaded.signature, loaded.rssBytes);
  } finally {
    process.kill('the trial is over');
    await process.ended;
  }
}

/**
 * Returns the rejection of a faulty model, or `overloaded` if the machine was too busy for a trial.
 * @param doing the step, such as `a trial run`
 */
export function asRefusal(error: unknown, doing: string, limits: Pick<Limits, 'field' | 'memoryLimitMb'>): unknown {
  const { field, memoryLimitMb } = limits;
  if (error instanceof ProcessEnded) {
    const text = `${doing} had to be ended: ${error.message}`;
    return refuse(field, text, remedyForEnd(error.why, memoryLimitMb), error);
  }
  if (!(error instanceof TandemError)) return error;
  if (error.code === 'overloaded') return notFinished(error, doing, field);
  // The error already names the setting at fault.
  if (isTandemError(error, 'model_refused') && error.field !== undefined) return error;
  return refuse(field, error.message, error.remedy ?? remedyFor(error.message), error);
}

/** Returns the error of a step that the machine was too busy to finish. It says nothing about the model. */
function notFinished(error: TandemError, doing: string, field: string): TandemError {
  const { message, remedy = 'retry', retryAfter = 0 } = error;
  const options = { field, remedy, retryAfter, cause: error };
  return new TandemError('overloaded', `${doing} was not finished: ${message}`, options);
}

function remedyForEnd(why: ProcessEnd, memoryLimitMb: number): string {
  switch (why) {
    case 'deadline':
      return 'Export a smaller or simpler model: a model must answer in milliseconds and must not loop without a bound.';
    case 'memory':
      return `Export a smaller or simpler model, or raise INFERENCE_MEMORY_MB, which is ${memoryLimitMb}, for all processes that serve it.`;
    case 'crash':
      return 'Export the model again with other operators: it crashes ONNX Runtime itself, which you can reproduce with onnxruntime in Python.';
    case 'starved':
    case 'killed':
      return 'Retry; if it recurs, the machine has too little memory for the model.';
  }
}

/** Returns the error of a model without inputs or outputs. It loads, but gives every user the same answer, or none. */
function refuseEmpty({ inputs, outputs }: Signature, field: string): void {
  const exportAgain = 'Export the model again, from the trained model.';
  if (inputs.length === 0) {
    throw refuse(field, 'the model takes no inputs, so every user would get the same answer', exportAgain);
  }
  if (outputs.length === 0) throw refuse(field, 'the model gives no outputs', exportAgain);
}

/** Returns whether an input or a used output of the model is float16. */
export function takesHalves(definition: ModelDefinition, { inputs, outputs }: Signature): boolean {
  const used = new Set([
    ...definition.inputs.map(({ name }) => name),
    ...definition.outputs.map(({ output }) => output),
  ]);
  return [...inputs, ...outputs].some(({ name, type }) => type === 'float16' && used.has(name));
}

/** Remedies for a model that ONNX Runtime does not load, by a pattern of its error. */
const REMEDIES: readonly (readonly [words: RegExp, remedy: string])[] = [
  [
    /No Op registered for|is not a registered function\/op/,
    'Export it with operators that ONNX Runtime 1.30 supports in this opset (onnxruntime.ai/docs/reference/operators); a newer opset may have this operator.',
  ],
  [
    /Could not find an implementation|NOT_IMPLEMENTED|Unsupported data type/,
    'Export the model in float32, for opset 17: ONNX Runtime has no such operator for these types on a CPU.',
  ],
  [
    /allocate memory|bad_alloc/,
    'Export a smaller model, or raise INFERENCE_MEMORY_MB for all processes that serve it.',
  ],
];

/**
 * Returns the error of a model that does not load.
 * @param reason the message of ONNX Runtime
 */
function remedyFor(reason: string): string {
  const known = REMEDIES.find(([words]) => words.test(reason));
  return (
    known?.[1] ?? 'Export it again. The graph is damaged or invalid; onnx.checker.check_model in Python says where.'
  );
}

// Measures the number of values that a model's outputs have for each user, by a run with zeros as features. It is used for
// a first config, which must not repeat a wrong declaration. If no input can be generated, outputs stay as declared.

/** The number of users. Two users detect a model that returns one row for any number of users. */
const USERS = 2;

/** Returns the outputs' shapes with the sizes of a run, or as declared if the model rejects the made-up users. */
async function measureOutputs(
  process: InferenceProcess,
  session: string,
  signature: Signature,
  limit: TimeLimit,
): Promise<Signature> {
  const feeds = signature.inputs.map(zeros);
  const fetches = signature.outputs.filter(({ type }) => type !== null).map(({ name }) => name);
  const isKnown = (feed: WireTensor | null): feed is WireTensor => feed !== null;
  if (!feeds.every(isKnown) || fetches.length < signature.outputs.length) return signature;
  // If the model rejects zeros, the trial tests it with real users.
  const run = await process.run({ session, feeds, fetches, rowByRow: false }, limit).catch(() => null);
  if (run === null) return signature;
  const given = new Map(run.outputs.map(({ name, dims }) => [name, dims]));
  return { ...signature, outputs: signature.outputs.map((output) => withSizes(output, given.get(output.name) ?? [])) };
}

function withSizes(output: SignatureTensor, [users, ...sizes]: readonly number[]): SignatureTensor {
  const [first = 'N'] = output.shape;
  // If the model declares no number and the run gives a single value, the number stays open, so that the config
  // decides.
  const isOne = sizes.every((size) => size === 1);
  if (users !== USERS || (isOne && valuesPerUser(output) === null)) return output;
  return { ...output, shape: [first, ...sizes] };
}

/**
 * Returns a tensor of zeros for the users; null if the model takes another number of users, or does not declare the
 * number of values.
 */
function zeros({ name, type, shape }: SignatureTensor): WireTensor | null {
  const [users, ...sizes] = shape;
  if (!isTensorType(type) || shape.length === 0 || isFixed(users) || !sizes.every(isFixed)) return null;
  const size = sizes.reduce((product: number, length) => product * length, USERS);
  return size > MOST_VALUES ? null : { name, type, dims: [USERS, ...sizes], data: zerosOf(type, size) };
}

const MOST_VALUES = 1 << 20;

function zerosOf(type: WireTensor['type'], size: number): TensorData {
  if (type === 'string') return Array.from({ length: size }, () => '');
  return type === 'float16' ? new Uint16Array(size) : allocate(type, size);
}
