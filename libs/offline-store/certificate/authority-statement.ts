/**
 * The SQL of the authority's certificates: the SQL of any certificate, the erasures that the caller does not know, and the
 * users' demanded entries.
 */
import type { DemandedEntry, NumberedTombstone, TombstoneMemory } from '@tandem/freshness/certificate';
import { epochMs } from '../sql/database.ts';
import {
  type AskedUsers,
  type CertificateRow,
  certificateSql,
  type DemandedEntries,
  UNTOLD,
} from './certificate-statement.ts';

/**
 * The maximum number of tombstones in one statement, so that a reader that knows none yet does not delay the other
 * reads of the statement.
 */
const TOMBSTONES_A_STATEMENT = 1_000;

const ASKED = 'unnest($1::text[], $5::text[])';

/**
 * Returns SQL of the authority's certificate with two more columns: the erasures that the caller does not know, and the
 * demanded entries of the users; each is null if there are none.
 * @param $1 the user ids; $2 the history and $3 the revision that the caller knows; $5 the predictor for each user id
 * @param $4 the count of erasures that the caller knows in the history $2; null: return no erasures
 */
function authoritySql(tellsArms: boolean): string {
  return certificateSql(
    { asked: ASKED, history: 2, revision: 3, tellsArms },
    `,
    case when $4::bigint is null or (h.history = $2::text and s.erasures <= $4::bigint) then null else (
      select json_build_array(s.erasures, coalesce(
        json_agg(json_build_array(number, user_id, deleted_version) order by number), '[]'))::text
      from (select number, user_id, deleted_version from tandem.erasures
        where number > case when h.history = $2::text then $4::bigint else 0 end
        order by number limit ${TOMBSTONES_A_STATEMENT}) unheard) end as unheard,
    case when exists (select from tandem.overlay where demanded) then (
      select json_agg(json_build_array(a.place, o.model_version_id, o.overlay_floor, ${epochMs('o.computed_at')}))::text
      from ${ASKED} with ordinality as a(user_id, predictor, place)
      join tandem.overlay o on o.user_id = a.user_id collate "C" and o.predictor = a.predictor
      where o.demanded and o.history = h.history) end as demanded`,
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
export type AuthorityRow = readonly [...CertificateRow, unheard: string | null, demanded: string | null];

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

type DemandedParts = [place: number, modelVersionId: string, overlayFloor: number, computedAt: number];

/** Returns the demanded entries of a row. */
export function demandedOf(row: AuthorityRow, { userIds, predictors }: AskedUsers): DemandedEntries | undefined {
  const text = row[7];
  if (text === null) return undefined;
  const entries = new Map<string, Map<string, DemandedEntry[]>>();
  for (const [place, modelVersionId, overlayFloor, computedAt] of JSON.parse(text) as DemandedParts[]) {
    const [userId, predictor] = [userIds[place - 1] ?? '', predictors[place - 1] ?? ''];
    const users = entries.get(predictor) ?? new Map<string, DemandedEntry[]>();
    entries.set(predictor, users);
    users.set(userId, [...(users.get(userId) ?? []), { modelVersionId, overlayFloor, computedAt }]);
  }
  return entries;
}
