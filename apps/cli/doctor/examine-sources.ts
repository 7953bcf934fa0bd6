/** Which sources of what is served are watched, and whether each watch is whole. */
import { listWatchedSources } from '@tandem/offline-store/watched-sources';
import { type Finding, warning } from '../output/finding.ts';
import type { DatabaseUrls } from '../servers/addresses.ts';
import { type Databases, withDatabases } from '../servers/databases.ts';
import { describeSources } from '../sources/describe-sources.ts';
import { findServedQueries } from '../sources/served-queries.ts';
import { examineSchema } from './examine-schema.ts';
import { unreached } from './examine-stores.ts';

/** Nothing where the schema is not there, as this release wants it. */
export async function examineSources(urls: DatabaseUrls): Promise<Finding[]> {
  try {
    return await withDatabases(urls, { applicationName: 'tandem-doctor' }, async (databases) =>
      (await examineSchema(databases.pool)).level === 'ok' ? listSources(databases) : [],
    );
  } catch (error) {
    return [unreached('sources', '', error)];
  }
}

/** The schema is there. */
export async function listSources({ pool, features }: Databases): Promise<Finding[]> {
  const watched = await listWatchedSources(pool);
  const findings: Finding[] = [];
  for (const query of await findServedQueries(pool)) {
    const found = await describeSources(features, query, watched);
    findings.push(...found.map((one) => ({ ...one, subject: `${query.name} ${one.subject}` })));
  }
  const gone = watched.filter(({ name, broken }) => broken.includes(name));
  const leftovers = gone.map(({ name }) =>
    warning('sources', `${name}: the table is gone, its watch is left`, `tandem unwatch ${name}`),
  );
  return [...findings, ...leftovers];
}
