/** Writes the statement that creates the index that a feature query lacks. */
import type { FullScan } from '@tandem/offline-store/features/feature-check';
import type { DeclaredWatch } from '@tandem/offline-store/sources/watched-sources';

/** The key of a table, as `features.watch` names it. */
export type KeyOfTable = Pick<DeclaredWatch, 'oid' | 'key'>;

const COLUMN = /^([a-z_][a-z0-9_]*|"([^"]|"")+")$/;

/**
 * Returns the statement for the first scanned table whose key is known, otherwise for the first table, without the key.
 * If the key already has an index, the query lacks another index.
 */
export function indexStatement(scans: readonly FullScan[], keys: readonly KeyOfTable[]): string {
  const [known] = scans.flatMap(({ oid, sql, indexed }) => {
    const key = keys.find((one) => one.oid === oid)?.key ?? null;
    if (key === null || indexed.some((one) => one === key || one === `(${key})`)) return [];
    return [`create index on ${sql} (${COLUMN.test(key) ? key : `(${key})`})`];
  });
  return known ?? `create index on ${scans[0]?.sql} (…)`;
}
