/**
 * Adopts a config: writes its predictors to the database in one transaction. Adopting it again changes nothing, so
 * every process of a deployment may do it.
 */
import { TandemError } from '@tandem/freshness/errors';
import { type ModelDefinition, modelVersionId, type Policy } from '@tandem/freshness/predictor';
import { STABLE } from '@tandem/freshness/rollout';
import type { KeyType } from '@tandem/freshness/user-id';
import type { Verification } from '@tandem/prediction/models/verification';
import { sql } from 'kysely';
import type pg from 'pg';
import { findArm, insertStableArm, moveArm } from './arms/arms.ts';
import { refuseUnderRollout } from './arms/refuse-under-rollout.ts';
import {
  eventFeatures,
  findNewRules,
  likePatterns,
  requireEventFeatures,
  setEventFeatures,
} from './events/event-rules.ts';
import {
  changeEventRules,
  lockEvents,
  openRules,
  requireAll,
  requireSettled,
  setPatternsPending,
  UnsettledRules,
} from './events/rule-changes.ts';
import { KEY_SQL } from './features/feature-statement.ts';
import { insertArtifact, sha256 } from './models/artifacts.ts';
import { keepVersion } from './models/model-versions.ts';
import { insertAudit } from './sql/audit.ts';
import { type Db, queryFirst } from './sql/database.ts';
import { lockAssignments } from './sql/settings.ts';
import { changeRows, databaseNow, fetchFirst, fetchRows, statements } from './sql/statements.ts';

export interface PredictorToAdopt {
  readonly name: string;
  readonly policy: Policy;
  readonly definition: ModelDefinition;
  /** The ONNX file; its SHA-256 is the definition's `artifactHash`. */
  readonly artifact: Uint8Array;
  /** The results of its trial; absent: the version was not tried, so no label may move to it. */
  readonly verification?: Verification;
}

interface Adoption {
  /** All predictors of the service. Other predictors in the database are deactivated. */
  readonly predictors: readonly PredictorToAdopt[];
  readonly actor: string;
  /** The milliseconds that a change of event rules waits for transactions that have sent events. */
  readonly waitMs?: number;
}

/**
 * - `added`: the predictor is new or was deactivated; `version`: its arm moved to another model version
 * - `policy`: only policies changed; `unchanged`
 */
type AdoptedChange = 'added' | 'version' | 'policy' | 'unchanged';

interface AdoptedPredictor {
  readonly predictor: string;
  readonly change: AdoptedChange;
  readonly modelVersionId: string;
  readonly modelNumber: number;
  /**
   * The number of the stable version. After a promotion or a rollback it is not the config's version: adoption undoes
   * neither.
   */
  readonly servedNumber: number;
  /** Whether workers still rewrite contexts for its wider event patterns; until then every event concerns it. */
  readonly patternsPending: boolean;
}

export interface AdoptionOutcome {
  readonly predictors: readonly AdoptedPredictor[];
  readonly deactivated: readonly string[];
}

/**
 * Adopts a config. Rejects with `config_invalid` if key types differ, `model_refused` if an artifact does not match its
 * hash, `unavailable` if transactions that have sent events stay open.
 */
export async function adopt(pool: pg.Pool, adoption: Adoption): Promise<AdoptionOutcome> {
  for (const predictor of adoption.predictors) assertConsistent(predictor);
  // Large files are stored before the lock: erasures wait for the lock, and events for erasures of their users. If the
  // adoption is rejected, the files are deleted after a day, like uploads without a version.
  for (const { definition, artifact } of adoption.predictors)
    await insertArtifact(pool, definition.artifactHash, artifact);
  const adoptAll = async (db: Db): Promise<AdoptionOutcome> => {
    const { keyType } = await lockAssignments(db);
    await refuseOtherKeys(db, keyType, adoption.predictors);
    const reachingBack = new Set<PredictorToAdopt>();
    await requireAll(adoption.predictors, async (one) => {
      if (await requireRules(db, one)) reachingBack.add(one);
    });
    await adoptKeyType(db, keyType, adoption.predictors);
    const predictors: AdoptedPredictor[] = [];
    for (const predictor of adoption.predictors) {
      predictors.push(
        await adoptOne(db, predictor, { actor: adoption.actor, reachesBack: reachingBack.has(predictor) }),
      );
    }
    return { predictors, deactivated: await deactivateOthers(db, adoption) };
  };
  return changeEventRules(pool, adoptAll, adoption.waitMs);
}

/** Returns the names of predictors that adopting would not change. */
export async function findUnchanged(
  pool: pg.Pool,
  predictors: readonly PredictorToAdopt[],
): Promise<readonly string[]> {
  const names: string[] = [];
  for (const predictor of predictors) {
    if (changeOf(predictor, await findKnown(pool, predictor)) === 'unchanged') names.push(predictor.name);
  }
  return names;
}

function assertConsistent({ name, definition, artifact }: PredictorToAdopt): void {
  if (definition.predictor !== name) throw new TypeError(`definition of ${definition.predictor} given for ${name}`);
  const hash = sha256(artifact);
  if (hash === definition.artifactHash) return;
  throw new TandemError('model_refused', 'The model file changed during its adoption.', {
    field: `predictors.${name}.model`,
    remedy: 'adopt again once the file is complete',
    detail: { expected: definition.artifactHash, found: hash },
  });
}

async function refuseOtherKeys(db: Db, known: KeyType | null, predictors: readonly PredictorToAdopt[]): Promise<void> {
  const [first] = predictors;
  if (!first) return;
  const keyType = first.definition.keyType;
  const other = predictors.find((one) => one.definition.keyType !== keyType);
  if (other) {
    throw keyTypeError(
      other,
      `Predictor ${other.name} has user ids of type ${KEY_SQL[other.definition.keyType]}, but predictor ${first.name} has ids of type ${KEY_SQL[keyType]}.`,
    );
  }
  if (known === keyType || known === null) return;
  const rows = await fetchRows(db, statements.selectFrom('tandem.user_contexts').limit(1));
  if (rows.length === 0) return;
  throw keyTypeError(
    first,
    `The database has user ids of type ${KEY_SQL[known]}, from events, but predictor ${first.name} has ids of type ${KEY_SQL[keyType]}.`,
    `use another database for other users (another folder, for the servers of tandem up), or cast user_id to ${KEY_SQL[known]}`,
  );
}

/** Sets the key type. Locks events, which are checked against it. There are no users yet, so few events wait. */
async function adoptKeyType(db: Db, known: KeyType | null, predictors: readonly PredictorToAdopt[]): Promise<void> {
  const keyType = predictors[0]?.definition.keyType;
  if (keyType === undefined || keyType === known) return;
  await lockEvents(db);
  await refuseOtherKeys(db, known, predictors);
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
  /** Whether the adopted version already was a version of the predictor. */
  readonly isKnownVersion: boolean;
}

function changeOf({ definition }: PredictorToAdopt, known: KnownPredictor | undefined): AdoptedChange {
  if (!known?.active) return 'added';
  if (known.adoptedVersionId !== modelVersionId(definition)) return 'version';
  return known.unchanged ? 'unchanged' : 'policy';
}

async function adoptOne(
  db: Db,
  predictor: PredictorToAdopt,
  { actor, reachesBack }: { readonly actor: string; readonly reachesBack: boolean },
): Promise<AdoptedPredictor> {
  const { name, definition } = predictor;
  const id = modelVersionId(definition);
  const known = await findKnown(db, predictor);
  const change = changeOf(predictor, known);
  const origin = { by: actor, how: 'adopt' } as const;
  const { number: modelNumber } = await keepVersion(db, { definition, origin, verification: predictor.verification });
  const adopted = async () => ({
    ...({ predictor: name, change, modelVersionId: id, modelNumber } as const),
    ...(await findServing(db, name)),
  });
  if (change === 'unchanged') return adopted();
  await updatePredictor(db, predictor, id);
  if (known?.adoptedVersionId !== id) await assign(db, name, id);
  await setEventFeatures(db, name);
  if (reachesBack) await setPatternsPending(db, name);
  const detail = { change, modelVersionId: id, modelNumber, before: known?.adoptedVersionId ?? null };
  await insertAudit(db, { actor, action: 'adopt', predictor: name, detail });
  return adopted();
}

/**
 * Returns whether earlier events may concern the predictor by its new rules. Throws if concurrent events may not know
 * the rules yet: a new predictor or version, which has no stored predictions, waits for them. A deactivated predictor
 * has received events all the time.
 */
async function requireRules(db: Db, predictor: PredictorToAdopt): Promise<boolean> {
  const { name, definition, policy } = predictor;
  const known = await findKnown(db, predictor);
  if (changeOf(predictor, known) === 'unchanged') return false;
  const { patterns, features } = await findNewRules(db, definition, likePatterns(policy.freshness.events));
  const wasAdopted = known !== undefined && known.adoptedVersionId !== null;
  if (wasAdopted && (patterns || (features && known.isKnownVersion))) return true;
  if (wasAdopted) await requireEventFeatures(db, definition);
  else if (patterns || features) throw new UnsettledRules((own) => announcePredictor(own, predictor));
  else await requireSettled(db, name);
  return false;
}

type Serving = Pick<AdoptedPredictor, 'servedNumber' | 'patternsPending'>;

async function findServing(db: Db, predictor: string): Promise<Serving> {
  const served = statements
    .selectFrom('tandem.arms as a')
    .innerJoin('tandem.model_versions as v', 'v.id', 'a.model_version_id')
    .innerJoin('tandem.predictors as p', 'p.name', 'a.predictor')
    .select(['v.number as servedNumber', 'p.patterns_pending as patternsPending'])
    .where(({ and }) => and({ 'a.predictor': predictor, 'a.name': STABLE }));
  return (await fetchFirst(db, served)) ?? { servedNumber: 0, patternsPending: false };
}

/** Assigns another version, which starts without stored predictions. */
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

function findKnown(db: Db, predictor: PredictorToAdopt): Promise<KnownPredictor | undefined> {
  const { name, event_patterns, policy } = columnsOf(predictor);
  return queryFirst<KnownPredictor>(db, {
    text: `select active, adopted_version_id as "adoptedVersionId",
        event_patterns = $2::text[] and policy = $3::jsonb as unchanged,
        exists (select from tandem.model_versions where id = $4) as "isKnownVersion"
      from tandem.predictors where name = $1`,
    values: [name, event_patterns, policy, modelVersionId(predictor.definition)],
  });
}

/** Lets events concern a predictor that is not served yet. */
async function announcePredictor(db: Db, predictor: PredictorToAdopt): Promise<void> {
  const { name, ...columns } = columnsOf(predictor);
  const rules = { ...columns, event_features: JSON.stringify(eventFeatures(predictor.definition)) };
  const predictors = statements.insertInto('tandem.predictors').values({ name, active: false, ...rules });
  const isNew = sql<boolean>`predictors.adopted_version_id is null`;
  await changeRows(
    db,
    predictors.onConflict((row) => row.column('name').doUpdateSet(rules).where(isNew)),
  );
  await openRules(db, [name]);
}

async function updatePredictor(db: Db, predictor: PredictorToAdopt, adoptedVersionId: string): Promise<void> {
  const { name, ...columns } = columnsOf(predictor);
  const known = statements.updateTable('tandem.predictors').where('name', '=', name);
  const adopted = { active: true, adopted_version_id: adoptedVersionId, updated_at: databaseNow() };
  await changeRows(db, known.set({ ...columns, ...adopted }));
}

async function deactivateOthers(db: Db, { predictors, actor }: Adoption): Promise<readonly string[]> {
  const names = predictors.map((one) => one.name);
  const others = statements.selectFrom('tandem.predictors').select('name').where('active', '=', true).orderBy('name');
  const gone = await fetchRows(db, names.length === 0 ? others : others.where('name', 'not in', names));
  for (const { name } of gone) {
    await refuseUnderRollout(db, name, `Until it ends, a config without ${name} cannot be adopted.`);
    const predictor = statements.updateTable('tandem.predictors').where('name', '=', name);
    await changeRows(db, predictor.set({ active: false, updated_at: databaseNow() }));
    await insertAudit(db, { actor, action: 'deactivate', predictor: name, detail: {} });
  }
  return gone.map(({ name }) => name);
}
