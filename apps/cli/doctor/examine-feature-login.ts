/**
 * Checks the login of feature queries: it must reach the database of the service and have exactly the required rights.
 */

import type { DatabaseUrls } from '@tandem/commands/environment';
import { type Finding, ok, warning } from '@tandem/commands/output/finding';
import {
  assertFeatureLogin,
  createFeaturePool,
  findExcess,
  findOutwardExtensions,
} from '@tandem/offline-store/features/feature-login';
import { createPool } from '@tandem/offline-store/sql/database';
import { attempt } from './examine-stores.ts';

const SUBJECT = 'feature login';
const DOCUMENT = 'docs/postgres.md, "A login for feature queries"';

export function examineFeatureLogin(urls: DatabaseUrls): Promise<Finding[]> {
  return attempt(SUBJECT, () => judgeLogin(urls));
}

async function judgeLogin(urls: DatabaseUrls): Promise<Finding[]> {
  const { url, featuresUrl } = urls;
  const pool = createPool({ url, max: 1, applicationName: 'tandem-doctor' });
  const features = createFeaturePool(urls, { max: 1, applicationName: 'tandem-doctor-features' });
  try {
    if (url === featuresUrl) {
      const shared = 'the user of DATABASE_URL: a key with models:write can read all that this user may read';
      // examine-stores.ts reports a database that does not answer.
      return [ok(SUBJECT, shared), ...(await outward(features).catch(() => []))];
    }
    const isMigrated = await assertFeatureLogin(pool, features);
    const excess = await findExcess(features);
    const reach = isMigrated ? 'may read the tables of label and certificate' : 'reaches the database of DATABASE_URL';
    const rights =
      excess === null
        ? ok(SUBJECT, reach)
        : warning(SUBJECT, `the user of FEATURES_DATABASE_URL ${excess}`, `give it exactly the grants of ${DOCUMENT}`);
    return [rights, ...(await outward(features))];
  } finally {
    await Promise.all([pool.end(), features.end()]);
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  dblink:
    'drop extension dblink, or move it to a schema without usage for the login: alter extension dblink set schema …',
  postgres_fdw: 'revoke usage on the foreign server from the login',
};

/** Warns of extensions with which a feature query could write through another connection. */
async function outward(features: ReturnType<typeof createPool>): Promise<Finding[]> {
  return (await findOutwardExtensions(features)).map((name) =>
    warning(
      SUBJECT,
      `feature queries may use extension ${name}, with which they can change data through another connection, here or elsewhere`,
      `${REMEDIES[name]}; see ${DOCUMENT}`,
    ),
  );
}
