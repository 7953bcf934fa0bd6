/**
 * The model versions that raw inference may run: those of a predictor's arms. They are asked of Postgres at most once a
 * second, and are known from then on while Postgres does not answer: raw inference says nothing of a user, so nothing has to
 * be certified.
 */
import type { Authority, Certificate } from '@tandem/freshness/certificate';
import { TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { ModelInput, ModelVersion, OutputField, Predictor } from '@tandem/freshness/predictor';
import type { Registry } from '@tandem/freshness/reader';
import { wantedBy } from '@tandem/inference/live/infer-request';
import type { TensorMetadata } from '@tandem/open-inference/messages';
import { columnWidth, isTensorType } from '@tandem/prediction/models/input-fit';
import { type DescribedTensor, isFixed } from '@tandem/prediction/models/verification';
import { IdleCache } from '@tandem/timing/idle-cache';
import type { ModelDependencies } from '../routes/models/model-view.ts';

export interface ServedVersion {
  readonly predictor: Predictor;
  readonly version: ModelVersion;
  /** The arm that serves it. */
  readonly variant: string;
  /** Numbers of the versions that a request may name, the stable one first. */
  readonly numbers: readonly string[];
  /** In the order in which the model is given them. */
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  /** The names of all outputs; the array of `wantedBy` where they are the same, so that requests and reads run together. */
  readonly outputNames: readonly string[];
}

interface ServedVersionDependencies {
  readonly authority: Pick<Authority, 'certify'>;
  readonly registry: Pick<Registry, 'predictor' | 'modelVersion'>;
  readonly models: Pick<ModelDependencies['models'], 'list'>;
  readonly now?: () => number;
}

/** Finds the version of that number, or the stable one. Rejects with `unknown_predictor` or `unknown_model_version`. */
export type FindServedVersion = (predictor: string, number: string | undefined) => Promise<ServedVersion>;

/** How long what Postgres said of arms counts, in ms. */
const KNOWN_MS = 1_000;

export function createServedVersions(dependencies: ServedVersionDependencies): FindServedVersion {
  const { authority, registry, models, now = () => performance.now() } = dependencies;
  let known: Certificate | undefined;
  let asking: Promise<Certificate> | undefined;
  let askAt = Number.NEGATIVE_INFINITY;
  /** By predictor and number, of the certificate that is known. */
  const found = new Map<string, Promise<ServedVersion>>();
  /** By id: a version never changes. */
  const described = new IdleCache(async (id) => {
    const version = await registry.modelVersion(id);
    const [record] = await models.list({ predictor: version.predictor, number: version.number });
    return describe(version, record?.metadata?.outputs ?? []);
  });

  function ask(): Promise<Certificate> {
    asking ??= authority
      .certify([])
      .then((certificate) => {
        if (certificate.revision !== known?.revision || certificate.history !== known.history) found.clear();
        known = certificate;
        return certificate;
      })
      .finally(() => {
        asking = undefined;
        askAt = now() + KNOWN_MS;
      });
    return asking;
  }

  async function assigned(): Promise<Certificate> {
    const before = known;
    if (before === undefined) return ask();
    return now() < askAt ? before : ask().catch(() => before);
  }

  async function find(name: string, number: string | undefined, certificate: Certificate): Promise<ServedVersion> {
    const [predictor, assignments] = [await registry.predictor(name), certificate.assignments(name)];
    if (!predictor || !assignments) throw unknownPredictor(name);
    const { stable, rollout } = assignments;
    const arms = [stable, ...(rollout?.arms ?? [])];
    const arm = number === undefined ? stable : arms.find(({ modelNumber }) => String(modelNumber) === number);
    const numbers = [...new Set(arms.map(({ modelNumber }) => String(modelNumber)))];
    if (!arm) throw notServed(name, number ?? '', numbers);
    return { ...(await described.get(arm.modelVersionId)), predictor, variant: arm.arm, numbers };
  }

  return async function findServedVersion(predictor, number) {
    const certificate = await assigned();
    const key = `${predictor}\n${number ?? ''}`;
    const before = found.get(key);
    if (before) return before;
    const finding = find(predictor, number, certificate);
    found.set(key, finding);
    finding.catch(() => found.delete(key));
    return finding;
  };
}

type Description = Omit<ServedVersion, 'predictor' | 'variant' | 'numbers'>;

/** @param declared outputs of the model's file */
function describe(version: ModelVersion, declared: readonly DescribedTensor[]): Description {
  const outputs = outputsOf(version, declared);
  const mapped = wantedBy(version);
  const names = outputs.map((output) => output.name);
  return {
    version,
    inputs: version.inputs.map((input) => inputOf(version, input)),
    outputs,
    outputNames: names.join('\n') === mapped.join('\n') ? mapped : names,
  };
}

function inputOf({ query }: ModelVersion, { name, type, columns, rank }: ModelInput): TensorMetadata {
  if (rank === 1) return { name, type, shape: [-1] };
  const widths = columns.map((column) => query.columns.find((one) => one.name === column)).map(widthOf);
  return { name, type, shape: [-1, widths.reduce((sum, width) => sum + width, 0)] };
}

function widthOf(column: Parameters<typeof columnWidth>[0] | undefined): number {
  return column === undefined ? 1 : columnWidth(column);
}

/**
 * Returns the outputs that have a row for each row of the inputs: those that predictions are taken from, and those that the
 * model's file declares so.
 */
function outputsOf(version: ModelVersion, declared: readonly DescribedTensor[]): TensorMetadata[] {
  const mapped = wantedBy(version).map((name): TensorMetadata => {
    const tensor = declared.find((one) => one.name === name);
    const field = version.outputs.find(({ output }) => output === name) as OutputField;
    return tensor ? described(tensor, field.type) : { name, type: field.type, shape: [-1, -1] };
  });
  const others = declared.flatMap((tensor) => {
    const { name, type, shape } = tensor;
    const isListed = mapped.some((one) => one.name === name);
    const hasRows = shape.length > 0 && (!isFixed(shape[0]) || (version.rowByRow === true && shape[0] === 1));
    return !isListed && hasRows && isTensorType(type) ? [described(tensor, type)] : [];
  });
  return [...mapped, ...others];
}

function described({ name, type, shape }: DescribedTensor, otherwise: OutputField['type']): TensorMetadata {
  const [, ...row] = shape;
  return {
    name,
    type: isTensorType(type) ? type : otherwise,
    // A shape of no dimensions is one that the file does not declare.
    shape: shape.length === 0 ? [-1, -1] : [-1, ...row.map((size) => (isFixed(size) ? size : -1))],
  };
}

function notServed(predictor: string, number: string, numbers: readonly string[]): TandemError {
  const text = `Predictor ${predictor} does not serve model version ${JSON.stringify(number.slice(0, 80))}.`;
  return new TandemError('unknown_model_version', text, {
    field: 'version',
    remedy: `use ${numbers.join(' or ')}, or name no version for the stable one; others answer once an arm of a rollout has them`,
  });
}
