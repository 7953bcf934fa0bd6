/** Creates a rollout: its row, and arms without users. */
import { randomUUID } from 'node:crypto';
import { TandemError, unknownPredictor } from '@tandem/freshness/errors';
import { CANDIDATE, type Rollout, type RolloutPlan, STABLE } from '@tandem/freshness/rollout';
import { findArm, nextFloor } from '@tandem/offline-store/arms/arms';
import { refuseUnderRollout } from '@tandem/offline-store/arms/refuse-under-rollout';
import {
  conflictingFeature,
  findNewRules,
  requireEventFeatures,
  setEventFeatures,
} from '@tandem/offline-store/events/event-rules';
import { changeEventRules, requireAll, setPatternsPending } from '@tandem/offline-store/events/rule-changes';
import { numberedVersion } from '@tandem/offline-store/models/model-versions';
import { findModelVersion } from '@tandem/offline-store/models/registry';
import { refuseArchived } from '@tandem/offline-store/models/version-labels';
import { insertAudit } from '@tandem/offline-store/sql/audit';
import { type Db, type Pool, query } from '@tandem/offline-store/sql/database';
import { lockAssignments } from '@tandem/offline-store/sql/settings';
import { fetchFirst, statements } from '@tandem/offline-store/sql/statements';
import type { NewRollout } from '../rules/rollout-store.ts';
import { insertArm } from './rollout-arms.ts';
import { requireRollout } from './rollout-rows.ts';

export async function createRollout(pool: Pool, { predictor, plan, actor }: NewRollout): Promise<Rollout> {
  return changeEventRules(pool, async (db) => {
    await lockAssignments(db);
    const stable = await findArm(db, predictor);
    if (!stable) throw unknownPredictor(predictor);
    await refuseUnderRollout(db, predictor);
    const arms = await findVersions(db, predictor, plan, stable.modelVersionId);
    await refuseOtherTypes(db, stable.modelVersionId, arms);
    await requireRules(db, predictor, arms);
    if (plan.kind === 'canary' && plan.atOnce) refuseNeverStable(arms);
    const id = await insertRollout(db, predictor, plan, actor);
    for (const { name, modelVersionId } of arms)
      await insertArm(db, { rolloutId: id, predictor, name, modelVersionId });
    await setEventFeatures(db, predictor);
    const rollout = await requireRollout(db, id);
    const detail = {
      rollout: rollout.number,
      id,
      plan: rollout.plan,
      arms: arms.map(({ name, number }) => [name, number]),
    };
    await insertAudit(db, { actor, action: 'create_rollout', predictor, detail });
    return rollout;
  });
}

interface ArmVersion {
  readonly name: string;
  readonly number: number;
  readonly modelVersionId: string;
  /** The field of the plan that names the version. */
  readonly field: string;
  /** Whether the stable arm ever served the version. */
  readonly wasStable: boolean;
}

/** Returns the arms of a plan, except the stable arm. */
function armsOf(
  plan: RolloutPlan,
): readonly { readonly name: string; readonly version: number; readonly field: string }[] {
  if (plan.kind !== 'ab') return [{ name: CANDIDATE, version: plan.version, field: 'version' }];
  return plan.arms.map(({ name, version }, i) => ({ name, version, field: `arms[${i}].version` }));
}

async function findVersions(
  db: Db,
  predictor: string,
  plan: RolloutPlan,
  stable: string,
): Promise<readonly ArmVersion[]> {
  const found: ArmVersion[] = [];
  for (const { name, version, field } of armsOf(plan)) {
    const row = await findVersion(db, predictor, version);
    if (!row) {
      throw new TandemError('unknown_model_version', `${predictor} has no model version ${version}.`, {
        field,
        remedy: 'tandem model list shows the versions; tandem model push adds one',
      });
    }
    await refuseArchived(db, { predictor, number: version }, field);
    const other = row.id === stable ? STABLE : found.find(({ modelVersionId }) => modelVersionId === row.id)?.name;
    if (other !== undefined) {
      throw new TandemError('invalid_input', `The arm ${other} already serves model version ${version}.`, {
        field,
        remedy: 'use another model version, since two arms with one version could not be distinguished',
      });
    }
    found.push({ name, number: version, modelVersionId: row.id, field, wasStable: row.wasStable });
  }
  return found;
}

function findVersion(db: Db, predictor: string, number: number) {
  const version = numberedVersion(predictor, number).select(({ exists, selectFrom }) => {
    const history = selectFrom('tandem.stable_history').whereRef('model_version_id', '=', 'tandem.model_versions.id');
    return ['id', exists(history).$castTo<boolean>().as('wasStable')];
  });
  return fetchFirst(db, version);
}

function refuseNeverStable(arms: readonly ArmVersion[]): void {
  const untested = arms.find(({ wasStable }) => !wasStable);
  if (!untested) return;
  throw new TandemError(
    'never_stable',
    `Model version ${untested.number} has never been stable. Only a former stable version may skip all steps (atOnce).`,
    { field: 'atOnce', remedy: 'leave atOnce out; steps of [100] (--steps 100) serve it to all users in one step' },
  );
}

/**
 * Rejects arms that have another type for an event's feature. Such an arm would lose its users' values, or all their
 * events.
 */
async function refuseOtherTypes(db: Db, stable: string, arms: readonly ArmVersion[]): Promise<void> {
  const others = [await findModelVersion(db, stable)];
  for (const { modelVersionId, number, field } of arms) {
    const version = await findModelVersion(db, modelVersionId);
    const feature = others.map((other) => conflictingFeature(version, other)).find((name) => name !== undefined);
    others.push(version);
    if (feature === undefined) continue;
    throw new TandemError(
      'invalid_input',
      `Model version ${number} takes the feature ${feature} with another type than other served versions: no event value would fit both.`,
      { field, remedy: 'push a version that gives the feature another name in its query' },
    );
  }
}

/** Requires that events carry the features of a version before it is served. */
async function requireRules(db: Db, predictor: string, arms: readonly ArmVersion[]): Promise<void> {
  await requireAll(arms, async ({ modelVersionId }) => {
    const version = await findModelVersion(db, modelVersionId);
    // The features of a kept generation have been event features all along. A generation that outlived its version's
    // retention may have other features.
    const generations = statements.selectFrom('tandem.generations').where('model_version_id', '=', modelVersionId);
    const isStored = await fetchFirst(db, generations.where('state', '=', 'published').limit(1));
    if (!isStored) await requireEventFeatures(db, version);
    else if ((await findNewRules(db, version)).features) await setPatternsPending(db, predictor);
  });
}

async function insertRollout(db: Db, predictor: string, plan: RolloutPlan, actor: string): Promise<string> {
  const reason =
    plan.kind === 'canary' && plan.atOnce
      ? 'at once: all users are served from this former stable version as soon as it is loaded'
      : 'waits for its model versions and their generations';
  const [made] = await query<{ id: string }>(db, {
    text: `insert into tandem.rollouts (predictor, number, kind, salt, plan, overlay_floor, created_by, reason)
      select $1, 1 + coalesce((select max(number) from tandem.rollouts where predictor = $1), 0), $2, $3, $4,
        ${nextFloor('$1')}, $5, $6 returning id`,
    values: [predictor, plan.kind, randomUUID(), JSON.stringify(plan), actor, reason],
  });
  return made?.id ?? '';
}
