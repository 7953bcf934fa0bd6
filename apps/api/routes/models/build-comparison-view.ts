/** The comparison of an optimised build with its parent in the wire format. */
import type { BuildFigures, BuildSide } from '@tandem/admission/compare-build';
import type { BuildComparisonView } from '@tandem/wire/builds';

export function buildComparisonView(predictor: string, figures: BuildFigures): BuildComparisonView {
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

function sideView({
  number,
  kind,
  artifact,
  bytes,
  rowByRow,
  parity,
  refused,
}: BuildSide): BuildComparisonView['build'] {
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
