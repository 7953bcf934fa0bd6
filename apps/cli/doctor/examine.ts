/** Looks at everything that Tandem stands on. */

import type { Cli } from '../command-line/cli.ts';
import { findApiUrl, findDatabaseUrls, findRedisUrl } from '../command-line/environment.ts';
import type { Finding } from '../output/finding.ts';
import { examineFeatureLogin } from './examine-feature-login.ts';
import { examineKeys } from './examine-keys.ts';
import { examineSources } from './examine-sources.ts';
import { examinePostgres, examineRedis, unreached } from './examine-stores.ts';
import { judgeDisk, judgeNode, judgePort } from './judge-machine.ts';

export async function examine(cli: Cli): Promise<Finding[]> {
  const apiUrl = findApiUrl(cli, undefined);
  const port = Number(new URL(apiUrl).port || (apiUrl.startsWith('https') ? 443 : 80));
  const parts = await Promise.all([
    judgeNode(process.version),
    judgeDisk(cli.cwd),
    judgePort(port, apiUrl),
    atAddress(
      'postgres',
      () => findDatabaseUrls(cli),
      async (urls) => {
        const found = [...(await examinePostgres(urls.url, cli.now)), ...(await examineFeatureLogin(urls))];
        // What does not answer, or lacks rights, is told once.
        if (found.some(({ level }) => level === 'error')) return found;
        const isMigrated = found.some(({ subject, level }) => subject === 'schema' && level === 'ok');
        return [...found, ...(await examineSources(urls)), ...(isMigrated ? await examineKeys(cli) : [])];
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

/** A store's findings, or the one that says that no address is known. */
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
