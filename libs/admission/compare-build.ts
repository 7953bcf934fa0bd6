/**
 * Compares an optimised build with its parent on real users: the differences of their answers, their cost in serving
 * and, if labels are given, their quality. The result is not stored.
 */

import { TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { DecisionPolicy, ModelVersion, Predictor } from '@tandem/freshness/predictor';
import { checkUserId } from '@tandem/freshness/user-id';
import { measureBuilds, type SideFigures } from '@tandem/inference/admission/measure-builds';
import type { Paces } from '@tandem/inference/admission/paces';
import { pickRows } from '@tandem/inference/admission/trial-users';
import type { ArtifactStore } from '@tandem/offline-store/models/artifacts';
import { listModelVersions, type ModelVersionRecord } from '@tandem/offline-store/models/model-versions';
import { unknownVersion } from '@tandem/offline-store/models/version-labels';
import {
  type Agreement,
  type AnsweredUsers,
  commonFields,
  compareBuilds,
  judgedField,
  type Label,
  numbersOf,
  scoreLabels,
} from '@tandem/prediction/builds/compare-builds';
import { readLivingUsers } from './read-living-users.ts';
import { type Pool, usersOfHalf } from './sample-users.ts';
import type { TrialQueue } from './trial-queue.ts';

interface BuildToCompare {
  readonly predictor: string;
  /** Number of the build's version. */
  readonly number: number;
  /** The most users to compare; ignored if labels are given, since all users with a label are compared. */
  readonly users: number;
  /** Labels of the users to compare. Without labels, users of the half without calibration are compared. */
  readonly labels?: readonly Label[] | undefined;
}

export interface CompareBuildDependencies {
  readonly pool: Pool;
  /** The pool of feature statements. */
  readonly features: Pool;
  readonly artifacts: Pick<ArtifactStore, 'get'>;
  readonly registry: { predictor(name: string): Promise<Predictor | undefined> };
  /** The queue of trials. A comparison costs as much as a trial, so it waits in the same queue. */
  readonly trials: TrialQueue;
  readonly memoryLimitMb: number;
}

/**
 * Compares a build with its parent. Rejects with `unknown_predictor`, `unknown_model_version`, `invalid_input` (not a
 * build, or an invalid user id), `features_unusable` (no users to compare), `model_refused`, `overloaded`,
 * `unavailable`.
 */
type CompareBuild = (asked: BuildToCompare) => Promise<BuildFigures>;

export function createCompareBuild(dependencies: CompareBuildDependencies): CompareBuild {
  return async function compareBuild(asked) {
    const predictor = await dependencies.registry.predictor(asked.predictor);
    if (!predictor) throw unknownPredictor(asked.predictor);
    const pair = await findPair(dependencies, asked);
    checkLabels(pair.build, asked.labels ?? []);
    return dependencies.trials.run(() => compare(dependencies, asked, pair, predictor));
  };
}

type Pair = Awaited<ReturnType<typeof findPair>>;

async function findPair({ pool }: CompareBuildDependencies, { predictor, number }: BuildToCompare) {
  const versions = await listModelVersions(pool, { predictor });
  const build = versions.find((one) => one.number === number);
  if (!build) throw unknownVersion(predictor, number);
  const parent = versions.find((one) => one.number === build.build?.parent);
  if (!parent) {
    throw new TandemError('invalid_input', `Model version ${number} is not an optimised build.`, {
      field: 'version',
      remedy: `name a build that was pushed with its parent: tandem build register ${predictor} <parent> <file> --kind int8`,
    });
  }
  if (commonFields(parent.outputs, build.outputs).length > 0) return { parent, build };
  throw new TandemError('invalid_input', `Model version ${number} has no output field in common with its parent.`, {
    field: 'version',
    remedy: 'push it with the output fields of its parent',
  });
}

function checkLabels({ keyType }: ModelVersion, labels: readonly Label[]): void {
  const seen = new Set<string>();
  labels.forEach(({ userId }, i) => {
    const check = checkUserId(keyType, userId);
    if (!check.ok)
      throw wrongLabel(i, `${check.problem}.`, check.canonical ?? 'the id as the feature query returns it');
    if (seen.has(userId)) throw wrongLabel(i, 'This user has more than one label.', 'each user once');
    seen.add(userId);
  });
}

function wrongLabel(i: number, problem: string, write: string): TandemError {
  const text = `${problem[0]?.toUpperCase()}${problem.slice(1)}`;
  return new TandemError('invalid_input', text, { field: `labels[${i}].userId`, remedy: `write ${write}` });
}

async function compare(
  { features, artifacts, memoryLimitMb }: CompareBuildDependencies,
  { users, labels }: BuildToCompare,
  { parent, build }: Pair,
  { policy: { decision } }: Predictor,
): Promise<BuildFigures> {
  const userIds = labels?.map(({ userId }) => userId) ?? (await usersOfHalf(features, parent, 'held out', users));
  if (userIds === null)
    throw noUsers('their ids were not read in time.', 'make the feature query faster: tandem check');
  const batches = await readBoth(features, { parent, build }, userIds);
  const side = async (version: ModelVersion, batch: FeatureBatch) => {
    return { definition: version, bytes: await artifacts.get(version.artifactHash), batch };
  };
  const [first, second] = [await side(parent, batches.parent), await side(build, batches.build)];
  const measured = await measureBuilds(first, second, { memoryLimitMb });
  const answered = {
    parent: { fields: parent.outputs, answers: measured.parent.answers },
    build: { fields: build.outputs, answers: measured.build.answers },
  };
  const answeredIds = measured.rows.map((row) => batches.parent.userIds[row] ?? '');
  return {
    parent: sideOf(parent, measured.parent),
    build: sideOf(build, measured.build),
    users: { asked: userIds.length, read: batches.parent.userIds.length, compared: measured.rows.length },
    agreement: compareBuilds(answered.parent, answered.build, decision),
    labels: labels === undefined ? null : judgeLabels(labels, answeredIds, answered, decision),
    paces: measured.paces,
  };
}

/** Reads the users that both versions can score, in the same order. Rejects if there are none. */
async function readBoth(pool: Pool, { parent, build }: Pair, userIds: readonly string[]) {
  const ours = await readLivingUsers(pool, parent, userIds);
  const isSame = JSON.stringify(parent.query) === JSON.stringify(build.query);
  const theirs = isSame ? ours : await readLivingUsers(pool, build, userIds);
  const theirRows = new Map(theirs.batch.userIds.map((userId, row) => [userId, row]));
  const both = ours.batch.userIds.flatMap((userId, row) => {
    const other = theirRows.get(userId);
    return other === undefined ? [] : [{ row, other }];
  });
  if (both.length === 0) {
    const why = ours.fault ?? theirs.fault ?? `none of ${userIds.length} users has a row in the feature source`;
    throw noUsers(`${why}.`, 'fix the query, or set the value of a null in features.nulls');
  }
  return {
    parent: pickRows(
      ours.batch,
      both.map(({ row }) => row),
    ),
    build: pickRows(
      theirs.batch,
      both.map(({ other }) => other),
    ),
  };
}

function noUsers(why: string, remedy: string): TandemError {
  return new TandemError('features_unusable', `There are no users to compare the versions on: ${why}`, { remedy });
}

export interface BuildFigures {
  readonly parent: BuildSide;
  readonly build: BuildSide;
  /** `asked`: users requested; `read`: users that both models can score; `compared`: users with both answers. */
  readonly users: { readonly asked: number; readonly read: number; readonly compared: number };
  readonly agreement: Agreement;
  /** The comparison with the labels; null if no labels were given. */
  readonly labels: JudgedLabels | null;
  readonly paces: Paces;
}

/**
 * One side of a comparison. `kind` is null if the version is not an optimised build. `parity` is measured without the
 * pin `rowByRow`. `refused` counts the users without a usable answer from this version.
 */
export type BuildSide = ReturnType<typeof sideOf>;

/** The output field that was compared with the labels, and the number of users with a label and both answers. */
type JudgedLabels = ReturnType<typeof judgeLabels>;

function sideOf(version: ModelVersionRecord, { parity, refused }: SideFigures) {
  const { number, build, artifactHash: artifact, size: bytes, rowByRow = false } = version;
  return { number, kind: build?.kind ?? null, artifact, bytes, rowByRow, parity, refused };
}

/** Judges both versions by the labels. Throws `invalid_input` if the predictor has no output with a single number. */
function judgeLabels(
  labels: readonly Label[],
  userIds: readonly string[],
  { parent, build }: { readonly parent: AnsweredUsers; readonly build: AnsweredUsers },
  decision: DecisionPolicy | undefined,
) {
  const output = judgedField(parent, decision);
  const [ours, theirs] = output === null ? [] : [numbersOf(parent, output), numbersOf(build, output)];
  if (output === null || !ours || !theirs) {
    throw new TandemError(
      'invalid_input',
      'Labels cannot be used, because this predictor has no output with one number for each user.',
      {
        field: 'labels',
        remedy: 'leave the labels out, or set decision.output in the config to an output with one number',
      },
    );
  }
  const known = new Map(labels.map(({ userId, label }) => [userId, label]));
  const figures = scoreLabels({ labels: userIds.map((id) => known.get(id) ?? 0), parent: ours, build: theirs });
  return { output, users: userIds.length, figures };
}
