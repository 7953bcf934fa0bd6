/** What the registry of model versions is made of: where files lie, how a pushed version is tried, and labels. */
import { createCompareBuild } from '@tandem/admission/compare-build';
import { createPushVersion } from '@tandem/admission/push-version';
import { createTrialQueue } from '@tandem/admission/trial-queue';
import { createFeaturePool } from '@tandem/offline-store/features/feature-login';
import { type BucketOptions, createBucket } from '@tandem/offline-store/models/artifact-bucket';
import {
  type ArtifactPart,
  createArtifactStore,
  dropParts,
  joinParts,
  keepPart,
  receivedBytes,
} from '@tandem/offline-store/models/artifacts';
import { listModelVersions, type VersionQuery } from '@tandem/offline-store/models/model-versions';
import type { StoredRegistry } from '@tandem/offline-store/models/registry';
import { countUnusedBytes } from '@tandem/offline-store/models/unused-artifacts';
import {
  type ArchiveChange,
  archiveVersion,
  type LabelMove,
  moveLabel,
} from '@tandem/offline-store/models/version-labels';
import { createPool } from '@tandem/offline-store/sql/database';
import { type ArtifactDependencies, createFileRoom } from '../routes/artifacts/artifact-dependencies.ts';
import type { CompareBuildDependencies } from '../routes/models/compare-build.ts';
import type { ModelDependencies } from '../routes/models/model-view.ts';
import type { PushDependencies } from '../routes/models/push.ts';

/** Whole files in memory at a time, each of 256 MiB at most; as many again on their way out. */
const FILES_AT_ONCE = 2;
/** Parts of files in memory at a time, each of 8 MiB at most. */
const PARTS_AT_ONCE = 16;

/** Of its own, so that a trial's reads and a file on its way take no read's connection, and have more time. */
const POOL = Object.freeze({ max: 4, statementTimeoutMs: 30_000, lockTimeoutMs: 5_000 });
/** One trial or comparison at a time. */
const FEATURES_POOL = Object.freeze({ ...POOL, max: 2 });

/** Uploads of every process that no model version uses: 16 of the largest files. */
const UPLOADS = { megabytes: 4_096 };

interface OpenedModels {
  readonly dependencies: Omit<
    ArtifactDependencies & ModelDependencies & PushDependencies & CompareBuildDependencies,
    'registry'
  >;
  close(): Promise<unknown>;
}

interface ModelSettings {
  readonly database: { readonly url: string; readonly featuresUrl?: string };
  readonly artifacts?: BucketOptions | null;
  readonly uploads?: { readonly megabytes: number };
  /** Memory of the process that tries a model, beside those that serve. */
  readonly inference: { readonly memoryMb: number };
}

export function openModels(
  { database, inference, artifacts: bucket = null, uploads = UPLOADS }: ModelSettings,
  registry: StoredRegistry,
): OpenedModels {
  const pool = createPool({ url: database.url, applicationName: 'tandem-api-models', ...POOL });
  const features = createFeaturePool(database, { applicationName: 'tandem-api-models-features', ...FEATURES_POOL });
  const artifacts = createArtifactStore(pool, bucket && createBucket(bucket));
  const trying = { pool, features, artifacts, registry, trials: createTrialQueue(), memoryLimitMb: inference.memoryMb };
  const dependencies = {
    artifacts,
    artifactParts: {
      keep: (part: ArtifactPart) => keepPart(pool, part),
      received: (hash: string) => receivedBytes(pool, hash),
      join: (hash: string, total: number) => joinParts(pool, hash, total),
      drop: (hash: string) => dropParts(pool, hash),
    },
    uploads: { megabytes: uploads.megabytes, unusedBytes: () => countUnusedBytes(pool) },
    uploadRoom: createFileRoom(FILES_AT_ONCE),
    downloadRoom: createFileRoom(FILES_AT_ONCE),
    partRoom: createFileRoom(PARTS_AT_ONCE),
    models: {
      list: (query?: VersionQuery) => listModelVersions(pool, query),
      moveLabel: (move: LabelMove) => moveLabel(pool, move),
      archive: (change: ArchiveChange) => archiveVersion(pool, change),
    },
    pushVersion: createPushVersion(trying),
    compareBuild: createCompareBuild(trying),
  };
  return { dependencies, close: () => Promise.all([pool.end(), features.end()]) };
}
