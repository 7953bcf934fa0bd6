/**
 * Pushes a model version without a config. Settings that the push does not name come from the stable version. The
 * version gets the same trial as a model in a config, and is stored with its certificate. A push moves no arm, so the
 * version does not serve traffic.
 */
import { conflictsBetween } from '@tandem/config/adoption/adoptable';
import {
  forgetGoneColumns,
  type PushedSettings,
  resolvePushed,
  type ServedVersion,
} from '@tandem/config/adoption/pushed-version';
import type { SettingProblem } from '@tandem/config/predictor/config-problem';
import type { ResolvedPredictor } from '@tandem/config/predictor/resolve-predictor';
import { isTandemError, TandemError, unknownPredictor } from '@tandem/freshness/errors';
import { type ModelDefinition, modelVersionId } from '@tandem/freshness/predictor';
import { describeQuery } from '@tandem/offline-store/features/feature-check';
import type { ArtifactStore } from '@tandem/offline-store/models/artifacts';
import {
  type BuildOf,
  keepVersion,
  listModelVersions,
  type ModelVersionRecord,
} from '@tandem/offline-store/models/model-versions';
import { assertLabel, putLabel, unknownVersion } from '@tandem/offline-store/models/version-labels';
import { insertAudit } from '@tandem/offline-store/sql/audit';
import { transaction } from '@tandem/offline-store/sql/database';
import { lockAssignments } from '@tandem/offline-store/sql/settings';
import type { Verification } from '@tandem/prediction/models/verification';
import type { CompareBuildDependencies } from './compare-build.ts';
import { type Defined, type JudgeOptions, settingProblem, tryPredictor, withDefined } from './judge-predictor.ts';
import type { Pool, SlowUsers } from './sample-users.ts';

export interface Push {
  readonly predictor: string;
  /** SHA-256 of a file in the artifact store. */
  readonly artifact: string;
  readonly settings: PushedSettings;
  readonly note?: string | undefined;
  readonly metrics?: Readonly<Record<string, number>> | undefined;
  readonly build?: BuildOf | undefined;
  /** A label that is moved to the version. */
  readonly label?: string | undefined;
  readonly actor: string;
}

interface PushDependencies
  extends Omit<CompareBuildDependencies, 'artifacts'>,
    Pick<JudgeOptions, 'trial' | 'sampling'> {
  readonly artifacts: ArtifactStore;
}

interface Pushed {
  readonly version: ModelVersionRecord;
  /** False if the same definition was already stored. */
  readonly isNew: boolean;
}

/**
 * Pushes a model version. The `field` of an error is a field of the push. `overloaded` says nothing about the model:
 * the queue of trials is full, or the machine was too busy for the trial.
 */
type PushVersion = (push: Push) => Promise<Pushed>;

export function createPushVersion(dependencies: PushDependencies): PushVersion {
  return async function pushVersion(push) {
    if (push.label !== undefined) assertLabel(push.label);
    const base = await findBase(dependencies, push);
    if ((await dependencies.artifacts.renew(push.artifact)) === null) throw missingArtifact(push.artifact);
    return dependencies.trials.run(async () => {
      try {
        return await admit(dependencies, push, base);
      } catch (error) {
        throw inWordsOfPush(push.predictor, error);
      }
    });
  };
}

interface Base extends ServedVersion {
  readonly versions: readonly ModelVersionRecord[];
}

/** Finds the version that gives the omitted settings: an optimised build's parent, else the stable version. */
async function findBase({ pool, registry }: PushDependencies, { predictor: name, build }: Push): Promise<Base> {
  const predictor = await registry.predictor(name);
  const versions = predictor ? await listModelVersions(pool, { predictor: name }) : [];
  const stable = versions.find(({ arms }) => arms.includes('stable'));
  if (!predictor || !stable) throw unknownPredictor(name);
  const base = build ? versions.find(({ number }) => number === build.parent) : stable;
  if (!base) throw unknownParent(name, build?.parent ?? 0);
  return { definition: base, metadata: base.metadata, policy: predictor.policy, versions };
}

async function admit(dependencies: PushDependencies, push: Push, base: Base): Promise<Pushed> {
  const { pool, features, memoryLimitMb, trial = {}, sampling = {} } = dependencies;
  const options = { memoryLimitMb, trial, sampling };
  const resolved = await resolve(dependencies, push, base);
  const { definition, verification } = await withDefined(features, resolved, options, async (defined) => {
    if ('problems' in defined) throw refused(defined.problems);
    await refuseConflicts(pool, defined.definition, base.definition);
    const id = modelVersionId(defined.definition);
    const isCertified = base.versions.some((one) => one.id === id && one.parity !== null);
    const certified = isCertified ? undefined : await certify(features, resolved, defined, options);
    return { definition: defined.definition, verification: certified };
  });
  return keep(pool, push, definition, verification);
}

async function resolve(
  { features, artifacts }: PushDependencies,
  { artifact, settings }: Push,
  base: Base,
): Promise<ResolvedPredictor> {
  const bytes = await artifacts.get(artifact);
  const pushed = resolvePushed(base, settings, { path: artifact, bytes, sha256: artifact });
  if (!pushed.ok) throw refused(pushed.problems);
  const { sql } = pushed.predictor.features;
  if (sql === base.definition.query.sql) return pushed.predictor;
  return forgetGoneColumns(pushed.predictor, settings, await describeQuery(features, sql));
}

async function certify(
  features: Pool,
  resolved: ResolvedPredictor,
  defined: Exclude<Defined, { problems: unknown }>,
  options: JudgeOptions,
): Promise<Verification> {
  const { verification, users } = await tryPredictor(features, resolved, defined, options);
  // A certificate of made-up rows alone proves nothing about real users.
  if (users?.scorable !== undefined) return verification;
  if (users?.slow) throw noUserInTime(users.slow);
  if (users?.read === 0) return verification;
  const why = users?.fault?.why;
  throw refused([
    {
      path: 'features.sql',
      problem: `No real user could be tried: ${why ?? 'their features cannot be read'}.`,
      remedy: 'fix the query, or set the value of a null in features.nulls',
    },
  ]);
}

function noUserInTime({ what, ms }: SlowUsers): TandemError {
  return refused([
    {
      path: 'features.sql',
      problem: `No real user could be tried: ${what} were not read within ${ms / 1000} s.`,
      remedy: 'make the query faster: create the index that it needs, or store its aggregates in a table',
    },
  ]);
}

/** Rejects a version if its user-ID type or event features conflict with those of other served predictors. */
async function refuseConflicts(pool: Pool, definition: ModelDefinition, served: ModelDefinition): Promise<void> {
  if (definition.keyType !== served.keyType) {
    const problem = `The query returns user ids of type ${definition.keyType}, but the served version has type ${served.keyType}.`;
    throw refused([{ path: 'features.sql', problem, remedy: `cast user_id to ${served.keyType}` }]);
  }
  const versions = await listModelVersions(pool);
  const others = versions.filter(({ arms, predictor }) => arms.length > 0 && predictor !== definition.predictor);
  const problems = conflictsBetween([...others, definition]);
  const ours = problems.filter(({ path }) => path.startsWith(`predictors.${definition.predictor}.`));
  if (ours.length > 0) throw refused(ours);
}

async function keep(
  pool: Pool,
  { predictor, label, actor, note, metrics, build }: Push,
  definition: ModelDefinition,
  verification: Verification | undefined,
): Promise<Pushed> {
  const kept = await transaction(pool, async (db) => {
    await lockAssignments(db);
    const words = { note, metrics, build };
    const { number, id, isNew, isChanged } = await keepVersion(db, {
      definition,
      origin: { by: actor, how: 'push' },
      verification,
      words,
    });
    if (isChanged) {
      const said = { note: note ?? '', ...(isNew ? {} : { again: true, metrics }) };
      const detail = { modelVersionId: id, modelNumber: number, artifact: definition.artifactHash, ...said };
      await insertAudit(db, { actor, action: 'push_version', predictor, detail });
    }
    if (label !== undefined) await putLabel(db, { predictor, label, number, actor });
    return { number, isNew };
  });
  const [version] = await listModelVersions(pool, { predictor, number: kept.number });
  if (!version) throw unknownVersion(predictor, kept.number);
  return { version, isNew: kept.isNew };
}

/** Returns one error for all problems, with the field and remedy of the first. */
function refused(problems: readonly SettingProblem[]): TandemError {
  const [first] = problems;
  const text = problems
    .map(({ path, problem }) => (problem.startsWith(path) ? problem : `${path}: ${problem}`))
    .join('; ');
  return new TandemError('config_invalid', text, {
    ...(first === undefined ? {} : { field: first.path, remedy: first.remedy }),
    detail: problems,
  });
}

/**
 * Translates config terms into those of a push: `predictors.churn.model` is its `artifact`; other settings lose their
 * path.
 */
function inWordsOfPush(predictor: string, error: unknown): unknown {
  if (!isTandemError(error)) return error;
  if (error.code === 'overloaded') return trialNotFinished(error);
  const problem = settingProblem(predictor, error);
  if (problem === undefined) return error;
  const prefix = `predictors.${predictor}`;
  const plain = (text: string) =>
    text.replaceAll(`${prefix}.model`, 'artifact').replaceAll(`${prefix}.`, '').replaceAll(` in ${prefix}`, '');
  return new TandemError(error.code, plain(problem.problem), {
    field: plain(problem.path),
    remedy: plain(problem.remedy),
    detail: error.detail,
    cause: error,
  });
}

/** Returns the error of a trial that the machine was too busy to finish. It says nothing about the model. */
function trialNotFinished(cause: TandemError): TandemError {
  const { message, remedy = 'push it again', retryAfter = 1 } = cause;
  const text = `${message[0]?.toUpperCase()}${message.slice(1)}.`;
  return new TandemError('overloaded', text, { field: 'artifact', remedy, retryAfter, cause });
}

function missingArtifact(hash: string): TandemError {
  return new TandemError('invalid_input', `There is no artifact ${hash.slice(0, 12)}….`, {
    field: 'artifact',
    remedy: `upload the file first: PUT /v1/artifacts/${hash}`,
  });
}

function unknownParent(predictor: string, parent: number): TandemError {
  return new TandemError('invalid_input', `Predictor ${predictor} has no model version ${parent}.`, {
    field: 'build.parent',
    remedy: `list the versions: tandem model list ${predictor}`,
  });
}
