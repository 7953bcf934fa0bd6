/**
 * The arms in a certificate: their SQL and its decoding. They contain the stable arm of each predictor and, during a rollout,
 * the other arms with their buckets. They are parsed once for each revision. Without a rollout they cost nothing per user.
 */

import { type ArmInterval, armOfBucket, bucketOfUser } from '@tandem/freshness/assignment';
import {
  type AssignedRollout,
  type Assignment,
  type Assignments,
  everybodyIn,
  type GenerationLayer,
} from '@tandem/freshness/certificate';
import { type RolloutPlan, STABLE } from '@tandem/freshness/rollout';
import { epochMs } from '../sql/database.ts';
import type { KnownArms } from './certificate-statement.ts';

/** Returns SQL of a GenerationLayer, which is null if there is none; `w` has the predictor's source version. */
function layerSql(g: string, r: string): string {
  return `case when ${g}.id is not null then json_build_object('id', ${g}.id, 'number', ${g}.number,
        'buckets', ${g}.buckets, 'startedAt', ${epochMs(`${g}.started_at`)}, 'isOutdated', ${r}.source_version < w.version) end`;
}

/** A JSON array of ArmsParts over the settings `s`. */
export const ARMS_SQL = `json_build_array(s.withdrawals, (
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
export function assignmentsOf(arms: string): Omit<KnownArms, 'history' | 'revision'> {
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
