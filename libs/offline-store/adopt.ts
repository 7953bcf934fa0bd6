/**
 * Adopts a config: what its predictors are becomes what the database says, in one transaction. Adopting the same config
 * again changes nothing, so every process of a deployment may do it.
 */
import { TandemError } from '@tandem/freshness/errors';
import { type ModelDefinition, modelVersionId, type Policy } from '@tandem/freshness/predictor';
import { STABLE } from '@tandem/freshness/rollout';
import type { KeyType } from '@tandem/freshness/user-id';
import type { Verification } from '@tandem/prediction/models/verification';
import type pg from 'pg';
import {
  changeEventRules,
  findNewRules,
  likePatterns,
  lockEventRules,
  setEventFeatures,
  touchEveryone,
} from './events/event-rules.ts';
import { KEY_SQL } from './features/feature-statement.ts';
import { insertArtifact, sha256 } from './models/artifacts.ts';
import { keepVersion } from './models/model-versions.ts';
import { findArm, insertStableArm, moveArm } from './rollouts/arms.ts';
import { refuseUnderRollout } from './rollouts/rollout-rows.ts';
import { insertAudit } from './sql/audit.ts';
import { type Db, query } from './sql/database.ts';
import { lockAssignments } from './sql/settings.ts';
import { changeRows, databaseNow, fetchFirst, fetchRows, statements } from './sql/statements.ts';

export interface PredictorToAdopt {
  readonly name: string;
  readonly policy: Policy;
  readonly definition: ModelDefinition;
  /** The ONNX file; its SHA-256 is the definition's `artifactHash`. */
  readonly artifact: Uint8Array;
  /** What its trial showed; absent: nobody tried it, and no label moves to the version. */
  readonly verification?: Verification;
}

interface Adoption {
  /** All of the service's predictors: those of the database that are not among them are deactivated. */
  readonly predictors: readonly PredictorToAdopt[];
  readonly actor: string;
  /** Milliseconds to wait for transactions that have sent events, where the change must. */
  readonly waitMs?: number;
}

/**
 * - `added`: a new predictor, or one that was deactivated; `version`: its arm moved to another model version
 * - `policy`: only policies changed; `unchanged`
 */
type AdoptedChange = 'added' | 'version' | 'policy' | 'unchanged';

interface AdoptedPredictor {
  readonly predictor: string;
  readonly change: AdoptedChange;
  readonly modelVersionId: string;
  readonly modelNumber: number;
  /** What the stable arm serves: another one after a promotion or a rollback, which no config undoes. */
  readonly servedNumber: number;
}

export interface AdoptionOutcome {
  readonly predictors: readonly AdoptedPredictor[];
  readonly deactivated: readonly string[];
}

/**
 * Rejects with `config_invalid` where keys disagree, `model_refused` where the artifact is not what its hash says,
 * `unavailable` where transactions that have sent events stay open.
 */
export async function adopt(pool: pg.Pool, adoption: Adoption): Promise<AdoptionOutcome> {
  for (const predictor of adoption.predictors) assertConsistent(predictor);
  // The files before any lock. Those of an adoption that is refused go with the uploads that became no version.
  for (const { definition, artifact } of adoption.predictors)
    await insertArtifact(pool, definition.artifactHash, artifact);
  const adoptAll = async (db: Db): Promise<AdoptionOutcome> => {
    const { keyType } = await lockAssignments(db);
    if (await changesRules(db, keyType, adoption.predictors)) await lockEventRules(db);
    await adoptKeyType(db, keyType, adoption.predictors);
    const predictors: AdoptedPredictor[] = [];
    for (const predictor of adoption.predictors) predictors.push(await adoptOne(db, predictor, adoption.actor));
    return { predictors, deactivated: await deactivateOthers(db, adoption) };
  };
  return changeEventRules(pool, adoptAll, adoption.waitMs);
}

/** The names of those that adopting would leave as they are. */
export async function findUnchanged(
  pool: pg.Pool,
  predictors: readonly PredictorToAdopt[],
): Promise<readonly string[]> {
  const names: string[] = [];
  for (const predictor of predictors) {
    const known = await findKnown(pool, predictor);
    const isSame = known?.adoptedVersionId === modelVersionId(predictor.definition);
    if (known?.active && known.unchanged && isSame) names.push(predictor.name);
  }
  return names;
}

/** Whether an event under way may go by rules that the adoption replaces. */
async function changesRules(db: Db, known: KeyType | null, predictors: readonly PredictorToAdopt[]): Promise<boolean> {
  for (const { definition, policy } of predictors) {
    const { patterns, features } = await findNewRules(db, definition, likePatterns(policy.freshness.events));
    if (patterns || features || definition.keyType !== known) return true;
  }
  return false;
}

function assertConsistent({ name, definition, artifact }: PredictorToAdopt): void {
  if (definition.predictor !== name) throw new TypeError(`definition of ${definition.predictor} given for ${name}`);
  const hash = sha256(artifact);
  if (hash === definition.artifactHash) return;
  throw new TandemError('model_refused', 'The model file changed while it was being adopted.', {
    field: `predictors.${name}.model`,
    remedy: 'adopt again once the file is complete',
    detail: { expected: definition.artifactHash, found: hash },
  });
}

async function adoptKeyType(db: Db, known: KeyType | null, predictors: readonly PredictorToAdopt[]): Promise<void> {
  const [first] = predictors;
  if (!first) return;
  const keyType = first.definition.keyType;
  const other = predictors.find((one) => one.definition.keyType !== keyType);
  if (other) {
    throw keyTypeError(
      other,
      `Predictor ${other.name} has user ids of type ${KEY_SQL[other.definition.keyType]}, ${first.name} of type ${KEY_SQL[keyType]}.`,
    );
  }
  if (known === keyType) return;
  if (known !== null) {
    const rows = await fetchRows(db, statements.selectFrom('tandem.user_contexts').limit(1));
    if (rows.length > 0) {
      throw keyTypeError(
        first,
        `Users are known here by ids of type ${KEY_SQL[known]}, from events; predictor ${first.name} has ids of type ${KEY_SQL[keyType]}.`,
        `use another database for other users (another folder, for the servers of tandem up), or cast user_id to ${KEY_SQL[known]}`,
      );
    }
  }
  await changeRows(db, statements.updateTable('tandem.settings').set({ key_type: keyType }));
}

function keyTypeError(
  predictor: PredictorToAdopt,
  message: string,
  remedy = 'give user_id the same type in every feature query, with a cast',
): TandemError {
  return new TandemError('config_invalid', message, {
    field: `predictors.${predictor.name}.features.sql`,
    remedy,
  });
}

interface KnownPredictor {
  readonly active: boolean;
  readonly unchanged: boolean;
  readonly adoptedVersionId: string | null;
}

async function adoptOne(db: Db, predictor: PredictorToAdopt, actor: string): Promise<AdoptedPredictor> {
  const { name, definition, policy } = predictor;
  const id = modelVersionId(definition);
  const known = await findKnown(db, predictor);
  const rules = await findNewRules(db, definition, likePatterns(policy.freshness.events));
  if (!known) await insertPredictor(db, predictor);
  const { number: modelNumber, isNew } = await ensureVersion(db, predictor, actor);
  const moved = known?.adoptedVersionId !== id;
  const change =
    known === undefined || !known.active ? 'added' : moved ? 'version' : known.unchanged ? 'unchanged' : 'policy';
  const adopted = async () => ({
    ...({ predictor: name, change, modelVersionId: id, modelNumber } as const),
    servedNumber: await findServedNumber(db, name),
  });
  if (change === 'unchanged') return adopted();
  await updatePredictor(db, predictor, id);
  if (moved) await assign(db, name, id);
  await setEventFeatures(db, name);
  // Of a new predictor or version nothing is stored yet: what will be reads its label after the events that we waited
  // for. One that was deactivated was told of its events all the time. So only new rules for known ones reach back.
  if (known && (rules.patterns || (rules.features && !isNew))) await touchEveryone(db, name);
  const detail = { change, modelVersionId: id, modelNumber, before: known?.adoptedVersionId ?? null };
  await insertAudit(db, { actor, action: 'adopt', predictor: name, detail });
  return adopted();
}

async function findServedNumber(db: Db, predictor: string): Promise<number> {
  const served = statements
    .selectFrom('tandem.arms as a')
    .innerJoin('tandem.model_versions as v', 'v.id', 'a.model_version_id')
    .select('v.number')
    .where(({ and }) => and({ 'a.predictor': predictor, 'a.name': STABLE }));
  return (await fetchFirst(db, served))?.number ?? 0;
}

/** Another version starts without stored predictions: those of the one before were computed by another model. */
async function assign(db: Db, predictor: string, modelVersionId: string): Promise<void> {
  const arm = await findArm(db, predictor);
  if (!arm) await insertStableArm(db, predictor, modelVersionId);
  else if (arm.modelVersionId !== modelVersionId) {
    await refuseUnderRollout(db, predictor);
    await moveArm(db, predictor, { modelVersionId, generationId: null, raiseFloor: false, restartExpiry: false });
  }
}

function columnsOf({ name, policy }: PredictorToAdopt) {
  return { name, event_patterns: likePatterns(policy.freshness.events), policy: JSON.stringify(policy) };
}

async function findKnown(db: Db, predictor: PredictorToAdopt): Promise<KnownPredictor | undefined> {
  const { name, event_patterns, policy } = columnsOf(predictor);
  const rows = await query<KnownPredictor>(db, {
    text: `select active, adopted_version_id as "adoptedVersionId",
        event_patterns = $2::text[] and policy = $3::jsonb as unchanged
      from tandem.predictors where name = $1`,
    values: [name, event_patterns, policy],
  });
  return rows[0];
}

async function insertPredictor(db: Db, predictor: PredictorToAdopt): Promise<void> {
  await changeRows(db, statements.insertInto('tandem.predictors').values(columnsOf(predictor)));
}

async function updatePredictor(db: Db, predictor: PredictorToAdopt, adoptedVersionId: string): Promise<void> {
  const { name, ...columns } = columnsOf(predictor);
  const known = statements.updateTable('tandem.predictors').where('name', '=', name);
  const adopted = { active: true, adopted_version_id: adoptedVersionId, updated_at: databaseNow() };
  await changeRows(db, known.set({ ...columns, ...adopted }));
}

/** Artifact and version are inserted where they are new; a version without a certificate is given the one at hand. */
async function ensureVersion(db: Db, { definition, artifact, verification }: PredictorToAdopt, actor: string) {
  await insertArtifact(db, definition.artifactHash, artifact);
  return keepVersion(db, { definition, origin: { by: actor, how: 'adopt' }, verification });
}

async function deactivateOthers(db: Db, { predictors, actor }: Adoption): Promise<readonly string[]> {
  const names = predictors.map((one) => one.name);
  const others = statements.selectFrom('tandem.predictors').select('name').where('active', '=', true).orderBy('name');
  const gone = await fetchRows(db, names.length === 0 ? others : others.where('name', 'not in', names));
  for (const { name } of gone) {
    const predictor = statements.updateTable('tandem.predictors').where('name', '=', name);
    await changeRows(db, predictor.set({ active: false, updated_at: databaseNow() }));
    await insertAudit(db, { actor, action: 'deactivate', predictor: name, detail: {} });
  }
  return gone.map(({ name }) => name);
}
