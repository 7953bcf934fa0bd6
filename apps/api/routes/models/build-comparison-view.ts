/** An optimised build beside its parent as the wire has it. */
import type { BuildFigures, BuildSide } from '@tandem/admission/build-figures';
import type { BuildComparison } from '@tandem/client/builds';

export function buildComparisonView(predictor: string, figures: BuildFigures): BuildComparison {
  const { parent, build, users, agreement, labels, paces } = figures;
  return {
    predictor,
    parent: sideView(parent),
    build: sideView(build),
    users,
    outputs: agreement.outputs,
    decision: agreement.decision,
    labels,
    pace: paces,
  };
}

function sideView({ number, kind, artifact, bytes, rowByRow, parity, refused }: BuildSide): BuildComparison['build'] {
  return {
    modelVersion: String(number),
    build: kind,
    artifact,
    bytes,
    rowByRow,
    rowsAgree: parity.rowsAgree,
    largestRowDifference: parity.largestDifference,
    refused,
  };
}
