/**
 * The SQL of the authority's certificates: the SQL of any certificate with the users' demanded entries, and the erasures that
 * the caller does not know.
 */
import type { NumberedTombstone, TombstoneMemory } from '@tandem/freshness/certificate';
import { type CertificateRow, certificateSql, UNTOLD } from './certificate-statement.ts';

/**
 * The maximum number of tombstones in one statement, so that a reader that knows none yet does not delay the other
 * reads of the statement.
 */
const TOMBSTONES_A_STATEMENT = 1_000;

/**
 * Returns SQL of the authority's certificate with one more column: the erasures that the caller does not know; null if
 * there are none.
 * @param $1 the user ids; $2 the history and $3 the revision that the caller knows; $5 the predictor for each user id
 * @param $4 the count of erasures that the caller knows in the history $2; null: return no erasures
 */
function authoritySql(tellsArms: boolean): string {
  return certificateSql(
    { asked: 'unnest($1::text[], $5::text[])', history: 2, revision: 3, tellsArms, tellsDemanded: true },
    `,
    case when $4::bigint is null or (h.history = $2::text and s.erasures <= $4::bigint) then null else (
      select json_build_array(s.erasures, coalesce(
        json_agg(json_build_array(number, user_id, deleted_version) order by number), '[]'))::text
      from (select number, user_id, deleted_version from tandem.erasures
        where number > case when h.history = $2::text then $4::bigint else 0 end
        order by number limit ${TOMBSTONES_A_STATEMENT}) unheard) end as unheard`,
  );
}

export const AUTHORITY_SQL = authoritySql(true);

/**
 * The authority's certificate without arms, for a caller that knows them. For each execution, Postgres prepares the
 * expressions of all columns. The arms took 0.25 ms of a statement's 0.55 ms even if they were known, and the locks on
 * their tables waited for changes.
 */
export const KNOWN_ARMS_SQL = authoritySql(false);

/** Returns whether the row has the arms, or the caller knows them. Any other row certifies nothing. */
export function tellsArms([, , , arms]: AuthorityRow): boolean {
  return arms !== UNTOLD;
}

/** A row of AUTHORITY_SQL. */
export type AuthorityRow = readonly [...CertificateRow, unheard: string | null];

/**
 * Returns the tombstones that are known after a row: the known ones and those of the row; in another history only those
 * of the row.
 */
export function tombstonesOf(row: AuthorityRow, heard: TombstoneMemory): TombstoneMemory {
  const [history, , , , , , unheard] = row;
  const known = heard.inHistory(history);
  if (unheard === null) return known;
  const [count, found] = JSON.parse(unheard) as [number, NumberedTombstone[]];
  const last = found[found.length - 1]?.[0] ?? 0;
  known.learn(found, found.length < TOMBSTONES_A_STATEMENT ? count : last);
  return known;
}
