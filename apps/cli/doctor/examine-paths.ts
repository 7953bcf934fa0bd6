/** Checks the connections of API and worker to Postgres: each address, each server in an address, and the pooler. */

import { explainFailure } from '@tandem/commands/failure';
import { type Finding, failed, ok, warning } from '@tandem/commands/output/finding';
import { maskUrl } from '@tandem/config/environment/environment';
import { isTandemError } from '@tandem/freshness/errors';
import { createFeaturePool } from '@tandem/offline-store/features/feature-login';
import { createPool } from '@tandem/offline-store/sql/database';
import { type DatabasePaths, DIRECT, leadsThroughPooler, provePaths } from '@tandem/offline-store/sql/paths';
import { serverAddresses } from '@tandem/offline-store/sql/primary-pool';

const SHARED = { max: 1, applicationName: 'tandem-doctor' };

/**
 * Checks the addresses. Rejects with the problem that keeps API and worker from starting. Other checks report servers
 * that do not answer.
 */
export async function examinePaths(paths: DatabasePaths): Promise<Finding[]> {
  const isPooled = leadsThroughPooler(paths.url, paths);
  const pools = {
    pool: createPool({ ...SHARED, url: paths.url, throughPooler: isPooled }),
    features: createFeaturePool(paths, SHARED),
    vital: createPool({ ...SHARED, url: paths.directUrl ?? paths.url }),
  };
  try {
    await provePaths(paths, pools);
    return isPooled ? [ok('pooler', 'answers, in transaction mode')] : [];
  } catch (error) {
    if (!isTandemError(error, 'unavailable')) throw error;
    const isPooler = isPooled && (await answers(pools.vital)) === null;
    if (!isPooler) return [];
    const remedy = 'check that the pooler in DATABASE_URL runs and reaches Postgres, which answers directly';
    return [failed('pooler', `${maskUrl(paths.url)}: ${error.detail ?? error.message}`, remedy)];
  } finally {
    await Promise.all(Object.values(pools).map((pool) => pool.end()));
  }
}

/** Returns a warning for each server that does not answer while another server does. */
export async function examineServers(paths: DatabasePaths): Promise<Finding[]> {
  // If several variables have the same address, the last one is named.
  const named = { FEATURES_DATABASE_URL: paths.featuresUrl, [DIRECT]: paths.directUrl, DATABASE_URL: paths.url };
  const urls = new Map(Object.entries(named).flatMap(([variable, url]) => (url ? [[url, variable] as const] : [])));
  const found = await Promise.all([...urls].map(([url, variable]) => examineServersOf(url, variable, paths)));
  return found.flat();
}

async function examineServersOf(url: string, variable: string, paths: DatabasePaths): Promise<Finding[]> {
  const addresses = serverAddresses(url, variable);
  if (addresses.length === 1) return [];
  const throughPooler = leadsThroughPooler(url, paths);
  const failures = await Promise.all(
    addresses.map(async (address) => {
      const pool = createPool({ ...SHARED, url: address, throughPooler });
      return answers(pool).finally(() => pool.end());
    }),
  );
  if (!failures.includes(null)) return [];
  return addresses.flatMap((address, i) => {
    const why = failures[i];
    if (why == null) return [];
    const remedy = `start that server, or remove it from ${variable}; until then it cannot take over`;
    return [warning('postgres', `${new URL(address).host} of ${variable} cannot be used: ${why}`, remedy)];
  });
}

/** Returns why the server does not answer; null if it answers, even as a standby. */
function answers(pool: ReturnType<typeof createPool>): Promise<string | null> {
  return pool.query('select 1').then(
    () => null,
    (error: unknown) => explainFailure(error).message,
  );
}
