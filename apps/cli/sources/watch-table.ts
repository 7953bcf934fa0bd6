/** Watches tables for a config or `tandem watch`, and renders watches. */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import { given } from '@tandem/commands/command';
import type { Databases } from '@tandem/commands/environment';
import { usageError } from '@tandem/commands/failure';
import { printable } from '@tandem/commands/output/text';
import type { WatchRequest } from '@tandem/offline-store/sources/watch-request';
import { type Watched, watchSource } from '@tandem/offline-store/sources/watch-source';
import { findQueryTables, findTable } from '@tandem/offline-store/sources/watchable-table';
import type { WatchOptions } from './commands.ts';
import { findServedQueries } from './list-sources.ts';

/** Watches a table for the named predictors, or else for those whose query reads it. */
export async function watchTable(databases: Databases, table: string, options: WatchOptions): Promise<Watched> {
  const { key, everyone, columns = null, maxUsers } = options;
  if ((key === undefined) === (everyone === undefined)) {
    throw usageError(
      key === undefined ? 'neither --key nor --everyone is given' : '--key and --everyone are both given',
      'set --key to the column with the user id; use --everyone if a row belongs to all users, such as a price',
    );
  }
  const predictors = options.predictors ?? (await findReaders(databases, table));
  const request = { table, key: key ?? null, columns, predictors, actor: 'cli' };
  return watchSource(databases.pool, { ...request, ...given({ maxUsers }) }, { features: databases.features });
}

/** Returns the predictors whose query reads the table. */
async function findReaders({ pool, features }: Databases, table: string): Promise<readonly string[]> {
  const found = await findTable(pool, table);
  const readers = new Set<string>();
  for (const query of await findServedQueries(pool)) {
    const { tables } = await findQueryTables(features, query.sql);
    if (tables.some(({ oid }) => oid === found?.oid)) readers.add(query.name);
  }
  return [...readers].sort();
}

/** Returns the watches that a config declares for a predictor. */
export function watchRequests({ name, policy }: Pick<CheckedPredictor, 'name' | 'policy'>): readonly WatchRequest[] {
  return (policy.watch ?? []).map((declared) => ({ ...declared, predictors: [name], actor: 'cli' }));
}

/** Returns a line for a watched table. */
export function renderWatched({ name, key, predictors }: Watched): string {
  const whose = key === null ? 'a change concerns every user' : `by ${key}`;
  return printable(`${name}: watched for ${predictors.join(', ')}, ${whose}`);
}
