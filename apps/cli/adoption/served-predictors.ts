/** What is in force in a database, and what a config would take out of it. */

import type { Pool } from '@tandem/admission/sample-users';
import { query } from '@tandem/offline-store/sql/database';
import { schemaState } from '@tandem/offline-store/sql/migrate';

/** The predictors that are served, by name; none where the schema is not there yet. */
export async function findServed(pool: Pool): Promise<readonly string[]> {
  if ((await schemaState(pool)).state !== 'current') return [];
  const rows = await query<{ name: string }>(pool, {
    text: 'select name from tandem.predictors where active order by name',
  });
  return rows.map(({ name }) => name);
}

/** Those that adopting a config of these predictors would withdraw: a config is all that a database serves. */
export async function findWithdrawn(
  pool: Pool,
  predictors: readonly { readonly name: string }[],
): Promise<readonly string[]> {
  const kept = new Set(predictors.map(({ name }) => name));
  return (await findServed(pool)).filter((name) => !kept.has(name));
}

/** `c_mlp is served now and not in second.config.ts: adopting withdraws it` */
export function withdrawalText(names: readonly string[], config: string): string {
  const [be, them] = names.length === 1 ? ['is', 'it'] : ['are', 'them'];
  return `${names.join(', ')} ${be} served now and not in ${config}: adopting withdraws ${them}`;
}

export const KEEP_SERVED = 'to serve them together, put all under `predictors` of one config';
