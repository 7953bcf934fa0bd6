/** Which sources of what is served are watched, and whether each watch is whole. */
import {
  findTableOids,
  listDeclaredWatches,
  listWatchedSources,
  type WatchedSource,
} from '@tandem/offline-store/sources/watched-sources';
import { type Finding, warning } from '../output/finding.ts';
import type { DatabaseUrls } from '../servers/addresses.ts';
import { type Databases, withDatabases } from '../servers/databases.ts';
import { describeSources, keyOption } from '../sources/describe-sources.ts';
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

/** Describes the tables of each served query, and the other watched ones. The schema is there. */
export async function listSources({ pool, features }: Databases): Promise<Finding[]> {
  const watches = { watched: await listWatchedSources(pool), adopted: await listDeclaredWatches(pool) };
  const findings = new Map<string, Finding>();
  for (const query of await findServedQueries(pool)) {
    for (const one of await describeSources(features, query, watches)) {
      const subject = `${query.name} ${one.subject}`;
      // The arms of a rollout mostly read the same tables.
      findings.set(`${subject}\n${one.text}`, { ...one, subject });
    }
  }
  return [...findings.values(), ...(await describeLeftovers(pool, watches.watched))];
}

/** Watches of tables that are gone, also where another watched table has their name now. */
async function describeLeftovers(pool: Databases['pool'], watched: readonly WatchedSource[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { oid, name } of watched) {
    if (oid !== null) continue;
    const text = `${name}: the table is gone, its watch is left`;
    const heir = watched.find((one) => one.oid !== null && one.name === name);
    if (heir) {
      const remedy = `to remove what is left: tandem watch ${name} ${keyOption(heir.key)}`;
      findings.push(warning('sources', `${text} beside that of the table that has its name now`, remedy));
    } else if ((await findTableOids(pool, [name]))[0] === null) {
      findings.push(warning('sources', text, `tandem unwatch ${name}`));
    }
  }
  return findings;
}
