/**
 * The SQL of a certificate and its decoding. The authority's statement and the feature statement share it, so that both
 * certify in the same way.
 *
 * The arms are sent only if the history or the revision differs from the caller's. Every change of an arm, a predictor
 * or a source version raises the revision in its own transaction, so equal numbers in one history mean equal arms.
 * Tombstones are sent likewise, by the count of erasures: only those that the caller does not know.
 */

import { type ArmInterval, armOfBucket, bucketOfUser } from '@tandem/experiment/assignment';
import {
  type AssignedRollout,
  type Assignment,
  type Assignments,
  type Certificate,
  type DemandedEntry,
  everybodyIn,
  type GenerationLayer,
  type Tombstones,
  UNTOUCHED,
  type UserState,
} from '@tandem/freshness/certificate';
import { assertProtocol } from '@tandem/freshness/protocol';
import { type RolloutPlan, STABLE } from '@tandem/freshness/rollout';
import { epochMs } from '../sql/database.ts';

// The assignments in a certificate contain the stable arm of each predictor and, during a rollout, the other arms with
// their buckets. They are parsed once for each revision. Without a rollout they cost nothing per user.

/**
 * SQL over the settings `s` for the revision. It rises with every change of an arm, a predictor, a source version or a
 * fault of a watch, so equal numbers in one history mean equal assignments. A repair raises source versions by the
 * number of faults that it deletes, and by one more.
 */
export const REVISION_SQL = `(s.revision + (select coalesce(sum(version), 0)::bigint from tandem.source_versions)
    + (select count(*) from tandem.watch_faults))`;

/** Returns SQL of a GenerationLayer, which is null if there is none; `w` has the predictor's source version. */
function layerSql(g: string, r: string): string {
  return `case when ${g}.id is not null then json_build_object('id', ${g}.id, 'number', ${g}.number,
        'buckets', ${g}.buckets, 'startedAt', ${epochMs(`${g}.started_at`)}, 'isOutdated', ${r}.source_version < w.version) end`;
}

/** A JSON array of ArmsParts over the settings `s`. */
const ARMS_SQL = `json_build_array(s.withdrawals, (
    select json_agg(json_build_array(p.name, a.arms, r.rollout, p.patterns_pending,
      exists (select from tandem.watch_faults f where f.predictor = p.name)))
    from tandem.predictors p
    cross join lateral (
      select coalesce((select version from tandem.source_versions where predictor = p.name), 0) as version) w
    cross join lateral (
      select json_agg(json_build_array(a.name, a.model_version_id, v.number, a.overlay_floor + w.version, a.revision,
        ${epochMs('a.expires_from')}, a.first_bucket, a.end_bucket, ${layerSql('g', 'r')}, ${layerSql('b', 'br')})
        order by a.first_bucket, a.name) as arms
      from tandem.arms a
      join tandem.model_versions v on v.id = a.model_version_id
      left join tandem.generations g on g.id = a.generation_id
      left join tandem.runs r on r.id = g.run_id
      left join tandem.generations b on b.id = g.base_id
      left join tandem.runs br on br.id = b.run_id
      where a.predictor = p.name) a
    left join lateral (
      select json_build_array(r.id, r.kind, r.step, r.salt, r.plan,
        (select json_agg(json_build_array(o.user_id, o.arm)) from tandem.arm_overrides o where o.rollout_id = r.id)) as rollout
      from tandem.rollouts r where r.predictor = p.name and r.state in ('running', 'held')) r on true
    where p.active and a.arms is not null))::text`;

type ArmsParts = [withdrawals: number, predictors: readonly PredictorParts[] | null];

type PredictorParts = [
  predictor: string,
  arms: readonly ArmParts[],
  rollout: RolloutParts | null,
  patternsPending: boolean,
  isUnwatched: boolean,
];

type ArmParts = [
  arm: string,
  modelVersionId: string,
  modelNumber: number,
  overlayFloor: number,
  revision: number,
  expiresFrom: number | null,
  firstBucket: number,
  endBucket: number,
  generation: GenerationLayer | null,
  base: GenerationLayer | null,
];

type RolloutParts = [
  id: string,
  kind: RolloutPlan['kind'],
  step: number,
  salt: string,
  plan: RolloutPlan,
  overrides: readonly (readonly [userId: string, arm: string])[] | null,
];

/**
 * Parses the arms of a certificate.
 * @param arms the result of ARMS_SQL
 */
function assignmentsOf(arms: string): Omit<KnownArms, 'history' | 'revision'> {
  const assignments = new Map<string, Assignments>();
  const pending = new Set<string>();
  const [withdrawals, predictors] = JSON.parse(arms) as ArmsParts;
  for (const [predictor, parts, rollout, patternsPending, isUnwatched] of predictors ?? []) {
    if (patternsPending) pending.add(predictor);
    const all = parts.map((one) => intervalOf(predictor, one, isUnwatched));
    const stable = all.find(({ assignment }) => assignment.arm === STABLE)?.assignment;
    if (stable) assignments.set(predictor, rollout ? withRollout(stable, all, rollout) : everybodyIn(stable));
  }
  return { withdrawals, assignments, pending };
}

interface Interval extends ArmInterval {
  readonly assignment: Assignment;
}

function intervalOf(predictor: string, parts: ArmParts, isUnwatched: boolean): Interval {
  const [arm, modelVersionId, modelNumber, overlayFloor, revision, expiresFrom, firstBucket, endBucket, own, base] =
    parts;
  const generation = own && { ...own, base };
  const assignment = { predictor, arm, modelVersionId, modelNumber, overlayFloor, revision, expiresFrom, generation };
  const known = isUnwatched ? { ...assignment, isUnwatched } : assignment;
  return { assignment: Object.freeze(known), firstBucket, endBucket };
}

function withRollout(stable: Assignment, all: readonly Interval[], parts: RolloutParts): Assignments {
  const [id, kind, step, salt, plan, overrides] = parts;
  const others = all.filter(({ assignment }) => assignment.arm !== STABLE);
  const overridden = new Map<string, Assignment>();
  for (const [userId, arm] of overrides ?? []) {
    const one = all.find(({ assignment }) => assignment.arm === arm);
    if (one) overridden.set(userId, one.assignment);
  }
  const bucketOf = (userId: string) => bucketOfUser(salt, userId);
  const slowMs = 'analysis' in plan ? { slowMs: plan.analysis.guardrails.slowMs } : {};
  const served = Object.freeze({ id, kind, step, overridden: false, ...slowMs });
  const byHand = Object.freeze({ ...served, overridden: true });
  const rollout: AssignedRollout = Object.freeze({
    ...{ id, kind, step, plan, bucketOf },
    arms: others.map(({ assignment }) => assignment),
    servedTo: (userId: string) => (overridden.has(userId) ? byHand : served),
  });
  return Object.freeze({
    stable,
    rollout,
    of: (userId: string) => overridden.get(userId) ?? armOfBucket(others, bucketOf(userId))?.assignment ?? stable,
  });
}

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
  { asked, tellsArms = true, ...parameters }: CertificateParameters,
  moreColumns = '',
): string {
  const arms = tellsArms ? ARMS_SQL : `'${UNTOLD}'`;
  const [history, revision] = [`$${parameters.history}::text`, `$${parameters.revision}::bigint`];
  return `select h.history, ${epochMs('statement_timestamp()')} as now, r.revision::float8 as revision,
    case when h.history = ${history} and r.revision = ${revision} then null else ${arms} end as arms,
    (select json_agg(json_build_array(a.place, c.version, c.deleted_version, ${touchedSql('a.predictor')}))::text
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

type UserParts = [place: number, version: number, deletedVersion: number, touched: number];

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
  { tombstones = null, demanded = null }: MoreOfCertificate = {},
): Certificate {
  const [history, now, revision, , text] = row;
  const users = text === null ? undefined : readUsers(text, asked, arms.pending);
  const entries = demanded === null ? undefined : readDemanded(demanded, asked);
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
      const found = entries?.get(predictor)?.get(userId);
      return found ? { ...(state ?? UNTOUCHED), demanded: found } : (state ?? UNTOUCHED);
    },
    tombstones,
  };
}

/** The columns that only some certificates have. */
interface MoreOfCertificate {
  readonly tombstones?: Tombstones | null;
  /** A JSON array of DemandedParts. */
  readonly demanded?: string | null;
}

type DemandedParts = [place: number, modelVersionId: string, overlayFloor: number, computedAt: number];

function readDemanded(text: string, { userIds, predictors }: AskedUsers) {
  const entries = new Map<string, Map<string, DemandedEntry[]>>();
  for (const [place, modelVersionId, overlayFloor, computedAt] of JSON.parse(text) as DemandedParts[]) {
    const [userId, predictor] = [userIds[place - 1] ?? '', predictors[place - 1] ?? ''];
    const users = entries.get(predictor) ?? new Map<string, DemandedEntry[]>();
    entries.set(predictor, users);
    users.set(userId, [...(users.get(userId) ?? []), { modelVersionId, overlayFloor, computedAt }]);
  }
  return entries;
}

function readUsers(text: string, { userIds, predictors }: AskedUsers, pending: ReadonlySet<string>) {
  const users = new Map<string, Map<string, UserState>>();
  for (const [place, version, deletedVersion, touched] of JSON.parse(text) as UserParts[]) {
    const predictor = predictors[place - 1] ?? '';
    const states = users.get(predictor) ?? new Map<string, UserState>();
    users.set(predictor, states);
    states.set(userIds[place - 1] ?? '', stateOf({ version, deletedVersion, touched }, pending.has(predictor)));
  }
  return users;
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
