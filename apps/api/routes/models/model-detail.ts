/** A model version with everything that decides its answers, and what its trial showed. */

import type { ModelVersionRecord } from '@tandem/offline-store/models/model-versions';
import type { ModelDetailView } from '@tandem/wire/models';
import { modelView } from './model-view.ts';

export function modelDetail(model: ModelVersionRecord): ModelDetailView {
  const { query, rowByRow = false, metadata, parity } = model;
  return {
    ...modelView(model),
    features: { ...query, columns: query.columns.map((column) => ({ ...column })) },
    rowByRow,
    metadata: metadata as ModelDetailView['metadata'],
    parity: parity as ModelDetailView['parity'],
  };
}
