/**
 * Who is served what, as a certificate brings it: of each predictor the stable arm and, while a rollout is active, the
 * others with the buckets of their users. Parsed once a revision; of a predictor without a rollout a user costs nothing.
 */
import { type ArmInterval, armOfBucket, bucketOfUser } from '@tandem/experiment/assignment';
import { type AssignedRollout, type Assignment, type Assignments, everybodyIn } from '@tandem/freshness/certificate';
import { type RolloutPlan, STABLE } from '@tandem/freshness/rollout';
import { epochMs } from '../sql/epoch-ms.ts';

/**
 * SQL over the settings `s`: rises with every change of an arm, a predictor or a source version, so that equal numbers in
 * one history mean equal assignments.
 */
export const REVISION_SQL = '(s.revision + (select coalesce(sum(version), 0)::bigint from tandem.source_versions))';

/** A JSON array of [predictor, arms, rollout or null], each as its type below says; null where there is no predictor. */
export const ARMS_SQL = `(
    select json_agg(json_build_array(p.name, a.arms, r.rollout))::text
    from tandem.predictors p
    cross join lateral (
      select coalesce((select version from tandem.source_versions where predictor = p.name), 0) as version) w
    cross join lateral (
      select json_agg(json_build_array(a.name, a.model_version_id, v.number, a.overlay_floor + w.version, a.revision,
        ${epochMs('a.expires_from')}, g.id, g.number, g.buckets, ${epochMs('g.started_at')}, a.first_bucket, a.end_bucket,
        r.source_version < w.version)
        order by a.first_bucket, a.name) as arms
      from tandem.arms a
      join tandem.model_versions v on v.id = a.model_version_id
      left join tandem.generations g on g.id = a.generation_id
      left join tandem.runs r on r.id = g.run_id
      where a.predictor = p.name) a
    left join lateral (
      select json_build_array(r.id, r.kind, r.step, r.salt, r.plan,
        (select json_agg(json_build_array(o.user_id, o.arm)) from tandem.arm_overrides o where o.rollout_id = r.id)) as rollout
      from tandem.rollouts r where r.predictor = p.name and r.state in ('running', 'held')) r on true
    where p.active and a.arms is not null)`;

type PredictorParts = [predictor: string, arms: readonly ArmParts[], rollout: RolloutParts | null];

type ArmParts = [
  arm: string,
  modelVersionId: string,
  modelNumber: number,
  overlayFloor: number,
  revision: number,
  expiresFrom: number | null,
  generationId: string | null,
  generationNumber: number,
  buckets: number,
  startedAt: number,
  firstBucket: number,
  endBucket: number,
  isOutdated: boolean | null,
];

type RolloutParts = [
  id: string,
  kind: RolloutPlan['kind'],
  step: number,
  salt: string,
  plan: RolloutPlan,
  overrides: readonly (readonly [userId: string, arm: string])[] | null,
];

/** @param arms what ARMS_SQL gave */
export function assignmentsOf(arms: string): ReadonlyMap<string, Assignments> {
  const found = new Map<string, Assignments>();
  for (const [predictor, parts, rollout] of JSON.parse(arms) as PredictorParts[]) {
    const all = parts.map((one) => intervalOf(predictor, one));
    const stable = all.find(({ assignment }) => assignment.arm === STABLE)?.assignment;
    if (stable) found.set(predictor, rollout ? withRollout(stable, all, rollout) : everybodyIn(stable));
  }
  return found;
}

interface Interval extends ArmInterval {
  readonly assignment: Assignment;
}

function intervalOf(predictor: string, parts: ArmParts): Interval {
  const [arm, modelVersionId, modelNumber, overlayFloor, revision, expiresFrom, id, number, buckets, startedAt] = parts;
  const generation = id === null ? null : { id, number, buckets, startedAt, isOutdated: parts[12] === true };
  const assignment = { predictor, arm, modelVersionId, modelNumber, overlayFloor, revision, expiresFrom, generation };
  return { assignment: Object.freeze(assignment), firstBucket: parts[10], endBucket: parts[11] };
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
