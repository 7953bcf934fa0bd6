/** Finds the model versions that raw inference may run: those of a predictor's arms. */
import { createKnownAssignments } from '@tandem/embedded/known-assignments';
import type { ApiHost } from '@tandem/extension/extension';
import type { Certificate } from '@tandem/freshness/certificate';
import { TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { ModelInput, ModelVersion, OutputField, Predictor } from '@tandem/freshness/predictor';
import { wantedBy } from '@tandem/inference/live/infer-request';
import { columnWidth, isTensorType } from '@tandem/prediction/models/input-fit';
import { type DescribedTensor, isFixed } from '@tandem/prediction/models/verification';
import { IdleCache } from '@tandem/timing/idle-cache';
import type { TensorMetadata } from '../messages/messages.ts';

export interface ServedVersion {
  readonly predictor: Predictor;
  readonly version: ModelVersion;
  /** The arm that serves the version. */
  readonly variant: string;
  /** Numbers of the versions that a request may name, the stable one first. */
  readonly numbers: readonly string[];
  /** Input tensors in the model's order. */
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  /** The names of all outputs. It is the array of `wantedBy`, so that requests and reads share inference runs. */
  readonly outputNames: readonly string[];
  /** Names of the outputs whose values do not depend on the other rows of an inference run, as admission found. */
  readonly triedOutputs: ReadonlySet<string>;
}

interface ServedVersionDependencies extends Pick<ApiHost, 'authority' | 'registry' | 'models'> {
  readonly now?: () => number;
}

/**
 * Finds the version with this number; undefined: the stable version. Rejects with `unknown_predictor` or
 * `unknown_model_version`.
 */
export type FindServedVersion = (predictor: string, number: string | undefined) => Promise<ServedVersion>;

export function createServedVersions(dependencies: ServedVersionDependencies): FindServedVersion {
  const { registry, models } = dependencies;
  const knownAssignments = createKnownAssignments(dependencies);
  let known: Certificate | undefined;
  /** Served versions by predictor and number, under the known certificate. Each certificate has a separate map. */
  let found = new Map<string, Promise<ServedVersion>>();
  /** Descriptions of versions by id. A version never changes. */
  const described = new IdleCache(async (id) => {
    const version = await registry.modelVersion(id);
    const [record] = await models.list({ predictor: version.predictor, number: version.number });
    return describe(version, record?.metadata?.outputs ?? []);
  });

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
    const certificate = await knownAssignments();
    if (certificate.revision !== known?.revision || certificate.history !== known.history) {
      found = new Map();
    }
    known = certificate;
    const ofCertificate = found;
    const key = `${predictor}\n${number ?? ''}`;
    const before = await ofCertificate.get(key);
    // The registry may have returned an older policy because it could not load the newest one in time.
    if (before && before.predictor === (await registry.predictor(predictor))) return before;
    const finding = find(predictor, number, certificate);
    ofCertificate.set(key, finding);
    finding.catch(() => ofCertificate.delete(key));
    return finding;
  };
}

type Description = Omit<ServedVersion, 'predictor' | 'variant' | 'numbers'>;

/**
 * Describes a model version with its inputs and outputs.
 * @param declared the outputs that the model file declares
 */
function describe(version: ModelVersion, declared: readonly DescribedTensor[]): Description {
  const outputs = outputsOf(version, declared);
  return {
    version,
    inputs: version.inputs.map((input) => inputOf(version, input)),
    outputs,
    outputNames: wantedBy(version),
    triedOutputs: new Set(outputs.filter((output) => isTried(version, output)).map(({ name }) => name)),
  };
}

function inputOf({ query, request = [] }: ModelVersion, { name, type, columns, rank }: ModelInput): TensorMetadata {
  if (rank === 1) return { name, type, shape: [-1] };
  const known = [...query.columns, ...request];
  const widths = columns.map((column) => known.find((one) => one.name === column)).map(widthOf);
  return { name, type, shape: [-1, widths.reduce((sum, width) => sum + width, 0)] };
}

function widthOf(column: Parameters<typeof columnWidth>[0] | undefined): number {
  return column === undefined ? 1 : columnWidth(column);
}

/**
 * Returns the outputs that predictions use. Admission does not check other outputs, whose values may depend on other
 * rows.
 */
function outputsOf(version: ModelVersion, declared: readonly DescribedTensor[]): TensorMetadata[] {
  return wantedBy(version).map((name): TensorMetadata => {
    const tensor = declared.find((one) => one.name === name);
    const field = version.outputs.find(({ output }) => output === name) as OutputField;
    return tensor ? described(tensor, field.type) : { name, type: field.type, shape: [-1, -1] };
  });
}

/** Returns whether every column of an output is part of a prediction, so that admission has compared all of them. */
function isTried({ outputs }: ModelVersion, { name, shape }: TensorMetadata): boolean {
  const columns = outputs.flatMap(({ output, index, width }) =>
    output === name ? Array.from({ length: width ?? 1 }, (_, i) => index + i) : [],
  );
  return new Set(columns).size === shape.slice(1).reduce((product, size) => product * size, 1);
}

function described({ name, type, shape }: DescribedTensor, otherwise: OutputField['type']): TensorMetadata {
  const [, ...row] = shape;
  return {
    name,
    type: isTensorType(type) ? type : otherwise,
    // A shape without dimensions means that the file declares none.
    shape: shape.length === 0 ? [-1, -1] : [-1, ...row.map((size) => (isFixed(size) ? size : -1))],
  };
}

function notServed(predictor: string, number: string, numbers: readonly string[]): TandemError {
  const text = `Predictor ${predictor} does not serve model version ${JSON.stringify(number.slice(0, 80))}.`;
  return new TandemError('unknown_model_version', text, {
    field: 'version',
    remedy: `use ${numbers.join(' or ')}, or leave out the version to use the stable one; a rollout makes other versions available`,
  });
}
