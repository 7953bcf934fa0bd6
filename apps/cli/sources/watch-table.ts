/** `tandem watch <table>` against a database. */

import { type Watched, watchSource } from '@tandem/offline-store/sources/watch-source';
import { findQueryTables, findTable } from '@tandem/offline-store/sources/watchable-table';
import { CommandFailure, EXIT_USAGE } from '../failure.ts';
import type { Databases } from '../servers/databases.ts';
import { findServedQueries } from './served-queries.ts';

export interface WatchOptions {
  readonly key?: string;
  readonly everyone?: boolean;
  readonly columns?: readonly string[];
  readonly predictors?: readonly string[];
  readonly maxUsers?: number;
}

export async function watchTable(databases: Databases, table: string, options: WatchOptions): Promise<Watched> {
  const { key, everyone, columns = null, maxUsers } = options;
  if ((key === undefined) === (everyone === undefined)) {
    throw new CommandFailure('give exactly one of --key and --everyone', {
      remedy:
        'name the column of the user id with --key; give --everyone where a row belongs to every user, as a price does',
      exitCode: EXIT_USAGE,
    });
  }
  const predictors = options.predictors ?? (await findReaders(databases, table));
  const request = { table, key: key ?? null, columns, predictors, actor: 'cli' };
  return watchSource(databases.pool, { ...request, ...(maxUsers === undefined ? {} : { maxUsers }) });
}

/** The predictors whose query reads the table. */
async function findReaders({ pool, features }: Databases, table: string): Promise<readonly string[]> {
  const found = await findTable(pool, table);
  const readers = new Set<string>();
  for (const query of await findServedQueries(pool)) {
    const { tables } = await findQueryTables(features, query.sql);
    if (tables.some(({ oid }) => oid === found?.oid)) readers.add(query.name);
  }
  return [...readers].sort();
}
