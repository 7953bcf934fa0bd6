/** Checks everything that Tandem depends on. */

import type { Cli } from '@tandem/commands/command';
import {
  type Databases,
  findApiUrl,
  findDatabaseUrls,
  findRedisUrl,
  givenApiUrl,
  givenPaths,
  runsServersAlone,
  withDatabases,
} from '@tandem/commands/environment';
import { type Finding, warning } from '@tandem/commands/output/finding';
import { counted } from '@tandem/commands/output/text';
import { readEnvironment } from '@tandem/config/environment/environment';
import { API_CONNECTIONS, apiProcesses } from '@tandem/config/environment/environment-sections';
import { type ApiKey, listApiKeys } from '@tandem/offline-store/api-keys';
import { directPools } from '@tandem/offline-store/processes/connection-room';
import { leadsThroughPooler } from '@tandem/offline-store/sql/paths';
import { knownPepperId } from '../keys/open-keys.ts';
import { listSources } from '../sources/list-sources.ts';
import { examineColumns } from './examine-columns.ts';
import { examineFeatureLogin } from './examine-feature-login.ts';
import { examineFleet } from './examine-fleet.ts';
import { examinePaths, examineServers } from './examine-paths.ts';
import { attempt, examinePostgres, examineRedis } from './examine-stores.ts';
import { judgeApiProcesses, judgeDisk, judgeNode, judgePort } from './judge-machine.ts';

export async function examine(cli: Cli): Promise<Finding[]> {
  const given = givenApiUrl(cli);
  const apiUrl = given ?? findApiUrl(cli, undefined);
  const port = Number(new URL(apiUrl).port || (apiUrl.startsWith('https') ? 443 : 80));
  const parts = await Promise.all([
    judgeNode(process.version),
    judgeDisk(cli.cwd),
    judgeApiProcesses(apiProcessesOf(cli)),
    judgePort(port, given === undefined && runsServersAlone(cli) ? null : apiUrl),
    attempt('postgres', () => examineDatabase(cli)),
    attempt('redis', async () => {
      const url = findRedisUrl(cli);
      return examineRedis(url, cli.env.QUEUE_REDIS_URL || url);
    }),
  ]);
  return parts.flat();
}

async function examineDatabase(cli: Cli): Promise<Finding[]> {
  const urls = findDatabaseUrls(cli);
  const paths = givenPaths(cli) ?? urls;
  const found = [
    ...(await examinePaths(paths)),
    ...(await examinePostgres(urls.url, cli.now)),
    ...(await examineServers(paths)),
    ...(await examineFeatureLogin(urls)),
  ];
  const schema = found.find(({ subject }) => subject === 'schema')?.level;
  // A server that does not answer is reported once.
  if (found.some(({ subject, level }) => level === 'error' && subject !== 'schema')) return found;
  const choice = { applicationName: 'tandem-doctor' };
  // The schema may be that of a newer release, so the releases of the live processes matter. If rights or tables are
  // missing, the processes cannot be read; that was already reported.
  if (schema === 'error') {
    return [...found, ...(await withDatabases(urls, choice, ({ pool }) => examineLive(cli, pool)).catch(() => []))];
  }
  if (schema !== 'ok') return found;
  const more = await withDatabases(urls, choice, async (databases) => [
    ...(await attempt('columns', () => examineColumns(databases))),
    ...(await attempt('sources', () => listSources(databases))),
    ...examineKeys(knownPepperId(cli), await listApiKeys(databases.pool)),
    ...(await attempt('fleet', () => examineLive(cli, databases.pool))),
  ]);
  return [...found, ...more];
}

const apiProcessesOf = ({ env }: Cli) => readEnvironment(env, { apiProcesses }).apiProcesses;

/** Judges the live processes by the addresses of API and worker, because commands bypass a pooler. */
function examineLive(cli: Cli, pool: Databases['pool']): Promise<Finding[]> {
  const given = givenPaths(cli);
  const isPooled = given !== undefined && leadsThroughPooler(given.url, given);
  const connections = isPooled ? null : (given?.connections ?? API_CONNECTIONS);
  return examineFleet(pool, directPools(given ?? findDatabaseUrls(cli)), {
    processes: apiProcessesOf(cli),
    connections,
  });
}

/** The most keys that are named. */
const NAMED = 3;

/**
 * Returns a warning if valid API keys are stored under another pepper than the known one. If no pepper is known,
 * compares with the pepper of the newest key.
 */
function examineKeys(known: string | null, all: readonly ApiKey[]): Finding[] {
  const keys = all.filter(({ state }) => state === 'active' || state === 'rotating');
  const foreign = keys.filter(({ pepperId }) => pepperId !== (known ?? keys[0]?.pepperId));
  if (foreign.length === 0) return [];
  const ids = foreign.slice(0, NAMED).map(({ id }) => id);
  const which = `${ids.join(', ')}${foreign.length > NAMED ? ', …' : ''}`;
  const own = known === null ? 'the newest key' : 'API_KEY_PEPPER';
  return [
    warning(
      'keys',
      `${counted(foreign.length, 'key is', 'keys are')} stored under another pepper than ${own} (${which}); an API rejects keys with another pepper`,
      'rotate them under the pepper of the API (tandem key rotate <id>), or revoke them',
    ),
  ];
}
