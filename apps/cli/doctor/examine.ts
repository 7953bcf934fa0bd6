/** Checks everything that Tandem depends on. */
import { readEnvironment } from '@tandem/config/environment/environment';
import { API_CONNECTIONS, apiProcesses } from '@tandem/config/environment/environment-sections';
import { type ApiKey, listApiKeys } from '@tandem/offline-store/api-keys';
import { directPools } from '@tandem/offline-store/rollouts/connection-room';
import { leadsThroughPooler } from '@tandem/offline-store/sql/paths';
import type { Cli } from '../command-line/command.ts';
import {
  type DatabaseUrls,
  findApiUrl,
  findDatabaseUrls,
  findRedisUrl,
  givenApiUrl,
  givenPaths,
  runsServersAlone,
  withDatabases,
} from '../command-line/environment.ts';
import { knownPepperId, withKeys } from '../keys/open-keys.ts';
import { type Finding, warning } from '../output/finding.ts';
import { counted } from '../output/text.ts';
import { listSources } from '../sources/list-sources.ts';
import { examineColumns } from './examine-columns.ts';
import { examineFeatureLogin } from './examine-feature-login.ts';
import { examineFleet } from './examine-fleet.ts';
import { examinePaths, examineServers } from './examine-paths.ts';
import { examineSchema } from './examine-schema.ts';
import { examinePostgres, examineRedis, unreached } from './examine-stores.ts';
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
    atAddress(
      'postgres',
      () => findDatabaseUrls(cli),
      async (urls) => {
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
        // The schema may be that of a newer release, so the releases of the live processes matter. If rights or tables
        // are missing, the processes cannot be read; that was already reported.
        if (schema === 'error') return [...found, ...(await examineLive(cli, urls).catch(() => []))];
        const live = () => examineLive(cli, urls).catch((error: unknown) => [unreached('fleet', '', error)]);
        const migrated = schema === 'ok' ? [...(await examineKeys(cli)), ...(await live())] : [];
        return [...found, ...(await examineSources(urls)), ...migrated];
      },
    ),
    atAddress(
      'redis',
      () => findRedisUrl(cli),
      (url) => examineRedis(url, cli.env.QUEUE_REDIS_URL || url),
    ),
  ]);
  return parts.flat();
}

/** Returns a store's findings, or the finding that no address is configured. */
async function atAddress<T>(
  subject: string,
  find: () => T,
  look: (address: T) => Promise<Finding[]>,
): Promise<Finding[]> {
  try {
    return await look(find());
  } catch (error) {
    return [unreached(subject, '', error)];
  }
}

/** Returns the findings on sources; empty if the schema of this release does not exist. */
async function examineSources(urls: DatabaseUrls): Promise<Finding[]> {
  try {
    return await withDatabases(urls, { applicationName: 'tandem-doctor' }, async (databases) =>
      (await examineSchema(databases.pool)).level === 'ok'
        ? [...(await examineColumns(databases)), ...(await listSources(databases))]
        : [],
    );
  } catch (error) {
    return [unreached('sources', '', error)];
  }
}

const apiProcessesOf = ({ env }: Cli) => readEnvironment(env, { apiProcesses }).apiProcesses;

/** Judges the live processes by the addresses of API and worker, because commands bypass a pooler. */
async function examineLive(cli: Cli, urls: DatabaseUrls): Promise<Finding[]> {
  const given = givenPaths(cli);
  const isPooled = given !== undefined && leadsThroughPooler(given.url, given);
  const connections = isPooled ? null : (given?.connections ?? API_CONNECTIONS);
  return withDatabases(urls, { applicationName: 'tandem-doctor' }, ({ pool }) =>
    examineFleet(pool, directPools(given ?? urls), { processes: apiProcessesOf(cli), connections }),
  );
}

/** The most keys that are named. */
const NAMED = 3;

/**
 * Returns a warning if valid API keys are stored under another pepper than the known one. If no pepper is known,
 * compares with the pepper of the newest key.
 */
async function examineKeys(cli: Cli): Promise<Finding[]> {
  const known = knownPepperId(cli);
  const keys = (await withKeys(cli, listApiKeys)).filter(({ state }) => state === 'active' || state === 'rotating');
  const foreign = keys.filter(({ pepperId }) => pepperId !== (known ?? keys[0]?.pepperId));
  return foreign.length === 0 ? [] : [ofAnotherPepper(foreign, known === null ? 'the newest key' : 'API_KEY_PEPPER')];
}

function ofAnotherPepper(keys: readonly ApiKey[], own: string): Finding {
  const ids = keys.slice(0, NAMED).map(({ id }) => id);
  const which = `${ids.join(', ')}${keys.length > NAMED ? ', …' : ''}`;
  const many = counted(keys.length, 'key is', 'keys are');
  return warning(
    'keys',
    `${many} stored under another pepper than ${own} (${which}); an API rejects keys with another pepper`,
    'rotate them under the pepper of the API (tandem key rotate <id>), or revoke them',
  );
}
