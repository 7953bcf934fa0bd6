/** The ways to Postgres that API and worker take: each address, each server that one names, and the pooler between. */
import { maskUrl } from '@tandem/config/environment/environment';
import { isTandemError } from '@tandem/freshness/errors';
import { createFeaturePool } from '@tandem/offline-store/features/feature-login';
import { createPool } from '@tandem/offline-store/sql/database';
import { type DatabasePaths, DIRECT, leadsThroughPooler, provePaths } from '@tandem/offline-store/sql/paths';
import { serverAddresses } from '@tandem/offline-store/sql/primary-pool';
import { explainFailure } from '../command-line/failure.ts';
import { type Finding, failed, ok, warning } from '../output/finding.ts';

const SHARED = { max: 1, applicationName: 'tandem-doctor' };

/** Rejects with what keeps API and worker from starting. Other checks report a server that does not answer. */
export async function examinePaths(paths: DatabasePaths): Promise<Finding[]> {
  const isPooled = leadsThroughPooler(paths.url, paths);
  const pools = {
    pool: createPool({ ...SHARED, url: paths.url, throughPooler: isPooled }),
    features: createFeaturePool(paths, SHARED),
    vital: createPool({ ...SHARED, url: paths.directUrl ?? paths.url }),
  };
  try {
    await provePaths(paths, pools);
    return isPooled ? [ok('pooler', 'answers, and lends sessions for a transaction')] : [];
  } catch (error) {
    if (!isTandemError(error, 'unavailable')) throw error;
    const isPooler = isPooled && (await answers(pools.vital)) === null;
    if (!isPooler) return [];
    const problem = `${maskUrl(paths.url)}: ${error.detail ?? error.message}`;
    return [failed('pooler', problem, 'see that the pooler in DATABASE_URL runs and reaches Postgres, which answers')];
  } finally {
    await Promise.all(Object.values(pools).map((pool) => pool.end()));
  }
}

/** Returns a warning for each server that does not answer while another one does. */
export async function examineServers(paths: DatabasePaths): Promise<Finding[]> {
  // Of one address under several names the last stands.
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
    const remedy = `start that server, or remove it from ${variable}: until then nothing fails over to it`;
    return [warning('postgres', `${new URL(address).host} of ${variable} cannot be used: ${why}`, remedy)];
  });
}

/** Returns why the server does not answer; null if it does, also as a standby. */
async function answers(pool: ReturnType<typeof createPool>): Promise<string | null> {
  try {
    await pool.query('select 1');
    return null;
  } catch (error) {
    return explainFailure(error).message;
  }
}
