/**
 * The SQL of a certificate and its decoding. The authority's statement and the feature statement share it, so that both
 * certify in the same way.
 *
 * The arms are sent only if the history or the revision differs from the caller's. Every change of an arm, a predictor
 * or a source version raises the revision in its own transaction, so equal numbers in one history mean equal arms.
 * Tombstones are sent likewise, by the count of erasures: only those that the caller does not know.
 */

import {
  type Assignments,
  type Certificate,
  type DemandedEntry,
  type Tombstones,
  UNTOUCHED,
  type UserState,
} from '@tandem/freshness/certificate';
import { assertProtocol } from '@tandem/freshness/protocol';
import { epochMs } from '../sql/database.ts';
import { ARMS_SQL, assignmentsOf } from './assigned-arms.ts';

/**
 * SQL over the settings `s` for the revision. It rises with every change of an arm, a predictor, a source version or a
 * fault of a watch, so equal numbers in one history mean equal assignments. A repair raises source versions by the
 * number of faults that it deletes, and by one more.
 */
export const REVISION_SQL = `(s.revision + (select coalesce(sum(version), 0)::bigint from tandem.source_versions)
    + (select count(*) from tandem.watch_faults))`;

/** The arms that the caller knows. Their history and revision are the two parameters after the user ids. */
export interface KnownArms {
  readonly history: string;
  readonly revision: number;
  readonly withdrawals: number;
  readonly assignments: ReadonlyMap<string, Assignments>;
  /** Predictors for which `touched` is incomplete (migrations/0052): each event of a user counts as concerning them. */
  readonly pending: ReadonlySet<string>;
}

export const NO_ARMS: KnownArms = Object.freeze({
  ...{ history: '', revision: -1, withdrawals: 0, assignments: new Map(), pending: new Set<string>() },
});

/**
 * Returns SQL over a context `c`: the version of the last event that concerns a predictor, or an equivalent version. If
 * the last event concerns every predictor, this is the user's version; it is 0 if no event has concerned it. For a
 * predictor that was added after the last event, the user's version is equivalent: every prediction since the predictor
 * is known has at least that label.
 */
export function touchedSql(predictor: string): string {
  return `case when c.touched_all = c.version then c.version else coalesce((c.touched ->> ${predictor})::bigint, 0) end`;
}

/** The parameter numbers of a certificate's SQL, and the SQL of the requested pairs (user_id, predictor). */
interface CertificateParameters {
  readonly asked: string;
  readonly history: number;
  readonly revision: number;
  /** Whether the row has arms that differ from the known ones; if `false`, it has `UNTOLD` instead. */
  readonly tellsArms?: boolean;
  /** Whether the row has the users' demanded entries. */
  readonly tellsDemanded?: boolean;
}

/** The text in place of arms that differ from the known arms, in a row of a statement that does not return them. */
export const UNTOLD = '';

/**
 * Returns the SQL of one row: history, clock (ms), revision, arms (null if known), users (null if none has a context),
 * protocol. A user is identified by its position in the request. The row has only the concerning version of the
 * requested predictor, since a context may have hundreds of others. current_history() fails on a standby, so each
 * answer comes from the primary.
 * @param moreColumns SQL of further columns over the settings `s` and `h.history`
 */
export function certificateSql(
  { asked, tellsArms = true, tellsDemanded = false, ...parameters }: CertificateParameters,
  moreColumns = '',
): string {
  const arms = tellsArms ? ARMS_SQL : `'${UNTOLD}'`;
  const [history, revision] = [`$${parameters.history}::text`, `$${parameters.revision}::bigint`];
  return `select h.history, ${epochMs('statement_timestamp()')} as now, r.revision::float8 as revision,
    case when h.history = ${history} and r.revision = ${revision} then null else ${arms} end as arms,
    (select json_agg(json_build_array(a.place, c.version, c.deleted_version,
        ${touchedSql('a.predictor')}${tellsDemanded ? ', c.demanded -> a.predictor' : ''}))::text
      from ${asked} with ordinality as a(user_id, predictor, place)
      join tandem.user_contexts c on c.user_id = a.user_id collate "C") as users, s.protocol${moreColumns}
  from tandem.settings s, (select tandem.current_history() as history offset 0) h,
    lateral (select ${REVISION_SQL} as revision offset 0) r where s.one`;
}

/** A row of certificateSql, its columns in order. */
export type CertificateRow = readonly [
  history: string,
  now: number,
  revision: number,
  arms: string | null,
  users: string | null,
  protocol: number,
];

/** A row that may have further columns. */
type RowStart = readonly [...CertificateRow, ...more: unknown[]];

type DemandedParts = [
  modelVersionId: string,
  overlayFloor: number,
  history: string,
  contextVersion: number,
  computedAt: number,
];

type UserParts = [
  place: number,
  version: number,
  deletedVersion: number,
  touched: number,
  demanded?: DemandedParts | null,
];

/**
 * Returns the arms after a row: parsed if the row has them, else the known ones. Throws `protocol_unknown` before it
 * uses the row.
 */
export function armsOf(row: RowStart, known: KnownArms): KnownArms {
  const [history, , revision, arms, , protocol] = row;
  assertProtocol(protocol);
  if (arms === null) return known;
  return { history, revision, ...assignmentsOf(arms) };
}

/** The users that a certificate covers, and the predictors at the same positions. */
export interface AskedUsers {
  readonly userIds: readonly string[];
  readonly predictors: readonly string[];
}

/**
 * Returns the certificate of a row.
 * @param asked the users and predictors of the statement. For another user the certificate would return `untouched`;
 * for another predictor it throws
 */
export function certificateOf(
  row: RowStart,
  arms: KnownArms,
  asked: AskedUsers,
  tombstones: Tombstones | null = null,
): Certificate {
  const [history, now, revision, , text] = row;
  const users = text === null ? undefined : readUsers(text, asked, { history, pending: arms.pending });
  return {
    history,
    now,
    revision,
    withdrawals: arms.withdrawals,
    assignments: (predictor) => arms.assignments.get(predictor),
    user(userId, predictor) {
      const state = users?.get(predictor)?.get(userId);
      if (state === undefined && !asked.predictors.includes(predictor)) {
        throw new Error(`the certificate was not asked about predictor ${predictor}`);
      }
      return state ?? UNTOUCHED;
    },
    tombstones,
  };
}

function readUsers(
  text: string,
  { userIds, predictors }: AskedUsers,
  { history, pending }: Pick<KnownArms, 'history' | 'pending'>,
) {
  const users = new Map<string, Map<string, UserState>>();
  for (const [place, version, deletedVersion, touched, demanded] of JSON.parse(text) as UserParts[]) {
    const predictor = predictors[place - 1] ?? '';
    const states = users.get(predictor) ?? new Map<string, UserState>();
    users.set(predictor, states);
    const state = stateOf({ version, deletedVersion, touched }, pending.has(predictor));
    const entry = demanded && demanded[2] === history ? demandedOf(demanded) : undefined;
    states.set(userIds[place - 1] ?? '', entry ? { ...state, demanded: entry } : state);
  }
  return users;
}

function demandedOf([modelVersionId, overlayFloor, , contextVersion, computedAt]: DemandedParts): DemandedEntry {
  return { modelVersionId, overlayFloor, contextVersion, computedAt };
}

/**
 * Returns the state of a user from a row. Until all contexts record the last concerning event, the last event counts.
 */
export function stateOf(told: UserState, isPending: boolean): UserState {
  return isPending ? { ...told, touched: told.version } : told;
}

/**
 * Returns a text[] literal of ids. It is two and a half times as fast as the driver's function, which escapes each
 * element separately.
 */
export function textArray(ids: readonly string[]): string {
  if (ids.length === 0) return '{}';
  const joined = ids.join('","');
  // If an id contains a quote or a backslash, the number of quotes differs from that of the separators.
  if (!joined.includes('\\') && !ids.some((id) => id.includes('"'))) return `{"${joined}"}`;
  return `{${ids.map((id) => `"${id.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
