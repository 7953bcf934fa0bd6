/** The login of feature queries: that it reaches the service's database, has what it needs, and no more. */
import { createPool } from '@tandem/offline-store/database';
import { assertFeatureLogin, createFeaturePool, findExcess } from '@tandem/offline-store/feature-login';
import { type Finding, ok, warning } from '../output/finding.ts';
import type { DatabaseUrls } from '../servers/addresses.ts';
import { unreached } from './examine-stores.ts';

const SUBJECT = 'feature login';
const DOCUMENT = 'docs/operations.md, "A login for feature queries"';

export async function examineFeatureLogin(urls: DatabaseUrls): Promise<Finding[]> {
  const { url, featuresUrl } = urls;
  if (url === featuresUrl) {
    return [ok(SUBJECT, 'that of DATABASE_URL: a key with models:write reads all that it may read')];
  }
  const pool = createPool({ url, max: 1, applicationName: 'tandem-doctor' });
  const features = createFeaturePool(urls, { max: 1, applicationName: 'tandem-doctor-features' });
  try {
    const isMigrated = await assertFeatureLogin(pool, features);
    const excess = await findExcess(features);
    if (excess !== null) {
      return [
        warning(
          SUBJECT,
          `the user of FEATURES_DATABASE_URL ${excess}`,
          `give it the grants of ${DOCUMENT}, and no more`,
        ),
      ];
    }
    return [ok(SUBJECT, isMigrated ? 'reads what label and certificate take' : 'reaches the database of DATABASE_URL')];
  } catch (error) {
    return [unreached(SUBJECT, '', error)];
  } finally {
    await Promise.all([pool.end(), features.end()]);
  }
}
