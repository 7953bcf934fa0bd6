/** The model versions that a profile compares, with their files and users. */
import { readLivingUsers } from '@tandem/admission/read-living-users';
import { usersOfHalf } from '@tandem/admission/sample-users';
import type { Cli } from '@tandem/commands/command';
import type { Databases } from '@tandem/commands/environment';
import { CommandFailure } from '@tandem/commands/failure';
import { readEnvironment } from '@tandem/config/environment/environment';
import { artifacts as artifactsSection } from '@tandem/config/environment/environment-sections';
import type { ProfiledVersion } from '@tandem/inference/profile/measure-setting';
import { createBucket } from '@tandem/offline-store/models/artifact-bucket';
import { createArtifactStore } from '@tandem/offline-store/models/artifacts';
import { listModelVersions, type ModelVersionRecord } from '@tandem/offline-store/models/model-versions';
import type { ProfileOptions } from './commands.ts';

export interface VersionToProfile extends ProfiledVersion {
  readonly record: ModelVersionRecord;
}

/** Reads the requested versions; by default the serving versions and their builds. The stable version comes first. */
export async function readVersions(
  cli: Cli,
  { pool, features }: Databases,
  { predictor, versions, rows }: Pick<ProfileOptions, 'versions' | 'rows'> & { readonly predictor: string },
): Promise<readonly VersionToProfile[]> {
  const bucket = readEnvironment(cli.env, { artifactsSection }).artifactsSection;
  const artifacts = createArtifactStore(pool, bucket && createBucket(bucket));
  const chosen = chooseVersions(await listVersions(pool, predictor), predictor, versions);
  const found: VersionToProfile[] = [];
  for (const record of chosen) {
    const userIds = await usersOfHalf(features, record, 'held out', rows);
    const { batch, fault } = await readLivingUsers(features, record, userIds ?? []);
    if (batch.userIds.length === 0) throw noUsers(record, userIds === null ? 'their ids were not read in time' : fault);
    found.push({ record, version: record, batch, bytes: await artifacts.get(record.artifactHash) });
  }
  return found;
}

async function listVersions(pool: Databases['pool'], predictor: string): Promise<readonly ModelVersionRecord[]> {
  const versions = await listModelVersions(pool, { predictor });
  if (versions.length > 0) return versions;
  const others = [...new Set((await listModelVersions(pool)).map((one) => one.predictor))];
  throw new CommandFailure(`this database has no model version of predictor ${predictor}`, {
    remedy: others.length === 0 ? 'adopt a config first: tandem adopt' : `use one of ${others.join(', ')}`,
  });
}

function chooseVersions(
  all: readonly ModelVersionRecord[],
  predictor: string,
  requested: readonly number[] | undefined,
): readonly ModelVersionRecord[] {
  const missing = requested?.filter((number) => !all.some((one) => one.number === number)) ?? [];
  if (missing.length > 0) {
    const known = all.map(({ number }) => number).join(', ');
    throw new CommandFailure(`${predictor} has no model version ${missing.join(', ')}`, {
      remedy: `set --versions to one or more of ${known}`,
    });
  }
  const living = all.filter(({ archivedAt }) => archivedAt === null);
  const serving = living.filter(({ arms }) => arms.length > 0);
  const roots = serving.length > 0 ? serving : living.slice(-1);
  const isBuild = ({ build }: ModelVersionRecord) => roots.some(({ number }) => number === build?.parent);
  const chosen = requested
    ? all.filter(({ number }) => requested.includes(number))
    : [...roots, ...living.filter(isBuild)];
  return [...new Set(chosen)].sort((a, b) => Number(isStable(b)) - Number(isStable(a)) || a.number - b.number);
}

export const isStable = ({ arms }: ModelVersionRecord) => arms.includes('stable');

function noUsers({ predictor, number }: ModelVersionRecord, why: string | null): CommandFailure {
  const problem = `version ${number} of ${predictor} cannot be profiled without a user: ${why ?? 'its feature query returns none'}`;
  return new CommandFailure(problem, { remedy: 'run tandem check to find the error in the query' });
}
