/** Finds columns of served feature queries whose type has changed since the adoption, so that no user is scored. */

import type { Databases } from '@tandem/commands/environment';
import { type Finding, failed, ofPredictor } from '@tandem/commands/output/finding';
import { isTandemError } from '@tandem/freshness/errors';
import { findChangedColumns } from '@tandem/offline-store/features/feature-check';
import { listModelVersions } from '@tandem/offline-store/models/model-versions';

/** Returns a finding for each changed column of each served model version. The schema must exist. */
export async function examineColumns({ pool, features }: Databases): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const version of (await listModelVersions(pool)).filter(({ arms }) => arms.length > 0)) {
    // describe-sources.ts reports a query that Postgres rejects.
    const changed = await findChangedColumns(features, version).catch((error: unknown) => {
      if (isTandemError(error, 'config_invalid')) return [];
      throw error;
    });
    for (const { name, origin, type, was } of changed) {
      const text = `${origin ?? `column ${name} of the feature query`} has type ${type} now, but was ${was} when model version ${version.number} was adopted: no user can be scored`;
      const remedy =
        'tandem adopt, which reads the new type, then tandem run start; or give the column its former type';
      findings.push(...ofPredictor(version.predictor, [failed('columns', text, remedy)]));
    }
  }
  return findings;
}
