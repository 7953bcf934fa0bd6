/** A model version in the wire format. */
import { invalidInput } from '@tandem/freshness/errors';
import type { ModelVersionRecord } from '@tandem/offline-store/models/model-versions';
import type { AnswerValue, KeptCertificate } from '@tandem/prediction/models/verification';
import type { ModelDetailView, ModelView } from '@tandem/wire/models';

/** Returns the versions that a list shows. Throws `invalid_input` if `archived` is neither `true` nor `false`. */
export function listed(models: readonly ModelVersionRecord[], archived: string | undefined): ModelVersionRecord[] {
  if (archived !== undefined && archived !== 'true' && archived !== 'false') {
    const problem = `is ${JSON.stringify(archived.slice(0, 40))}, which is not a boolean`;
    throw invalidInput('archived', problem, 'write true or false');
  }
  return models.filter(({ archivedAt }) => archived === 'true' || archivedAt === null);
}

export function modelView(model: ModelVersionRecord): ModelView {
  const { predictor, number, artifactHash, size, createdAt, archivedAt, origin, arms, labels, inputs, outputs } = model;
  const { parity, note, metrics, build } = model;
  return {
    predictor,
    modelVersion: String(number),
    artifact: artifactHash,
    bytes: size,
    createdAt: createdAt.toISOString(),
    archivedAt: archivedAt?.toISOString() ?? null,
    origin,
    variants: arms,
    labels,
    verified: parity !== null,
    note,
    metrics,
    build: build?.kind ?? null,
    parent: build === null ? null : String(build.parent),
    inputs: inputs.map(({ name, type, columns }) => ({ name, type, columns })),
    outputs: outputs.map(({ name, output, type, width, index }) => ({ name, output, type, width, index })),
  };
}

/** Renders a version with everything that decides its answers, and the results of its trial. */
export function modelDetail(model: ModelVersionRecord): ModelDetailView {
  const { query, request = [], rowByRow = false, metadata, parity } = model;
  return {
    ...modelView(model),
    features: { ...query, columns: query.columns.map((column) => ({ ...column })) },
    request: request.map((column) => ({ ...column })),
    rowByRow,
    metadata,
    parity: parity && parityView(parity),
  };
}

function parityView(parity: KeptCertificate): ModelDetailView['parity'] {
  const { largestDifference: largest } = parity;
  return {
    ...parity,
    largestDifference: largest && {
      ...largest,
      alone: answerValueView(largest.alone),
      other: answerValueView(largest.other),
    },
  };
}

/** Renders a value of an answer. JSON has no 64-bit integers. */
export function answerValueView(value: AnswerValue): number | string | boolean {
  return typeof value === 'bigint' ? String(value) : value;
}
