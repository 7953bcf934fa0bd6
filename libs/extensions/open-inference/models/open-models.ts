/** Finds models of the Open Inference Protocol: each predictor has a raw and a hybrid view. */

import type { ApiHost } from '@tandem/extension/extension';
import { TandemError } from '@tandem/freshness/errors';
import { createHybridModels } from './hybrid-model.ts';
import { type FindOpenModel, HYBRID } from './open-model.ts';
import { createRawModels } from './raw-model.ts';
import { createServedVersions } from './served-versions.ts';

export function createOpenModels(host: ApiHost): FindOpenModel {
  const findServedVersion = createServedVersions(host);
  const findRaw = createRawModels({ findServedVersion, infer: host.infer });
  const findHybrid = createHybridModels({ findServedVersion, answerMany: host.answerMany });
  return async function findOpenModel(name, version) {
    if (!name.endsWith(HYBRID)) return findRaw(name, version);
    if (version === undefined) return findHybrid(name.slice(0, -HYBRID.length));
    throw new TandemError(
      'unknown_model_version',
      'A hybrid model has no versions, because the arm of each user decides the version.',
      {
        field: 'version',
        remedy: 'leave out the version; the output tensor tandem.model_version names the version that answered',
      },
    );
  };
}
