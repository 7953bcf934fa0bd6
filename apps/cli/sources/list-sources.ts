/**
 * Lists the sources of served predictors: the tables that their queries read, which of them are watched, and whether
 * each watch is complete.
 */
import type { Pool } from '@tandem/admission/sample-users';
import type { Databases } from '@tandem/commands/environment';
import { type Finding, ok, warning } from '@tandem/commands/output/finding';
import { listModelVersions } from '@tandem/offline-store/models/model-versions';
import {
  detectsSchemaChanges,
  findTableOids,
  listDeclaredWatches,
  listWatchedSources,
  type WatchedSource,
} from '@tandem/offline-store/sources/watched-sources';
import { describeSources, keyOption, type ServedQuery } from './describe-sources.ts';

const WINDOW: Finding = {
  ...ok(
    'sources',
    'there are no event triggers: workers detect changes of the schema of watched tables within seconds, and not in the transaction',
  ),
  remedy: 'create them: tandem migrate, as a superuser',
};

/** Describes the tables of each served query, and other watched tables. The schema must exist. */
export async function listSources({ pool, features }: Databases): Promise<Finding[]> {
  const watches = { watched: await listWatchedSources(pool), adopted: await listDeclaredWatches(pool) };
  const findings = new Map<string, Finding>();
  for (const query of await findServedQueries(pool)) {
    for (const one of await describeSources(features, query, watches)) {
      const subject = `${query.name} ${one.subject}`;
      // The arms of a rollout usually read the same tables.
      findings.set(`${subject}\n${one.text}`, { ...one, subject });
    }
  }
  const schema = watches.watched.length > 0 && !(await detectsSchemaChanges(pool)) ? [WINDOW] : [];
  return [...findings.values(), ...(await describeLeftovers(pool, watches.watched)), ...schema];
}

/** Describes watches of dropped tables, even if another watched table now has the name. */
async function describeLeftovers(pool: Databases['pool'], watched: readonly WatchedSource[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { oid, name } of watched) {
    if (oid !== null) continue;
    const text = `${name}: the table was dropped, but its watch remains`;
    const heir = watched.find((one) => one.oid !== null && one.name === name);
    if (heir) {
      const remedy = `to remove the rest: tandem watch ${name} ${keyOption(heir.key)}`;
      findings.push(warning('sources', `${text}, in addition to the watch of the table that now has its name`, remedy));
    } else if ((await findTableOids(pool, [name]))[0] === null) {
      findings.push(warning('sources', text, `tandem unwatch ${name}`));
    }
  }
  return findings;
}

/** Returns the feature queries of every arm of every active predictor. */
export async function findServedQueries(pool: Pool): Promise<readonly ServedQuery[]> {
  const served = (await listModelVersions(pool)).filter(({ arms }) => arms.length > 0);
  const queries = new Map(
    served.map(({ predictor, query }) => [`${predictor}\n${query.sql}`, { name: predictor, sql: query.sql }]),
  );
  return [...queries.values()];
}
