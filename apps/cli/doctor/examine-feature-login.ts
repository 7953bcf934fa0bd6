/** The login of feature queries: that it reaches the service's database, has what it needs, and no more. */
import {
  assertFeatureLogin,
  createFeaturePool,
  findExcess,
  findOutwardExtensions,
} from '@tandem/offline-store/features/feature-login';
import { createPool } from '@tandem/offline-store/sql/database';
import type { DatabaseUrls } from '../command-line/environment.ts';
import { type Finding, ok, warning } from '../output/finding.ts';
import { unreached } from './examine-stores.ts';

const SUBJECT = 'feature login';
const DOCUMENT = 'docs/postgres.md, "A login for feature queries"';

export async function examineFeatureLogin(urls: DatabaseUrls): Promise<Finding[]> {
  const { url, featuresUrl } = urls;
  const pool = createPool({ url, max: 1, applicationName: 'tandem-doctor' });
  const features = createFeaturePool(urls, { max: 1, applicationName: 'tandem-doctor-features' });
  try {
    if (url === featuresUrl) {
      const shared = ok(SUBJECT, 'that of DATABASE_URL: a key with models:write reads all that it may read');
      // A database that does not answer is a finding of examine-stores.ts.
      return [shared, ...(await outward(features).catch(() => []))];
    }
    const isMigrated = await assertFeatureLogin(pool, features);
    const excess = await findExcess(features);
    const reach = isMigrated ? 'reads what label and certificate take' : 'reaches the database of DATABASE_URL';
    const rights =
      excess === null
        ? ok(SUBJECT, reach)
        : warning(
            SUBJECT,
            `the user of FEATURES_DATABASE_URL ${excess}`,
            `give it the grants of ${DOCUMENT}, and no more`,
          );
    return [rights, ...(await outward(features))];
  } catch (error) {
    return [unreached(SUBJECT, '', error)];
  } finally {
    await Promise.all([pool.end(), features.end()]);
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  dblink:
    'drop extension dblink, or move it to a schema that the login may not use: alter extension dblink set schema …',
  postgres_fdw: 'revoke usage on the foreign server from the login',
};

/** Extensions by which a feature query writes through another connection. */
async function outward(features: ReturnType<typeof createPool>): Promise<Finding[]> {
  return (await findOutwardExtensions(features)).map((name) =>
    warning(
      SUBJECT,
      `feature queries may use extension ${name}: through another connection they can change data, here or elsewhere`,
      `${REMEDIES[name]}; see ${DOCUMENT}`,
    ),
  );
}
