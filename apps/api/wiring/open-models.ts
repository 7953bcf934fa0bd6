/** Opens the dependencies of model versions: file storage, trials of pushed versions, and labels. */
import { createCompareBuild } from '@tandem/admission/compare-build';
import { createPushVersion } from '@tandem/admission/push-version';
import { createTrialQueue } from '@tandem/admission/trial-queue';
import { TandemError } from '@tandem/freshness/errors';
import { createBucket } from '@tandem/offline-store/models/artifact-bucket';
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
import type { ApiSettings } from './api-settings.ts';
import type { ApiPools } from './open-pools.ts';

/** The most files in memory at a time for uploads, each of at most 256 MiB; as many again for downloads. */
const FILES_AT_ONCE = 2;
/** The most parts of files in memory at a time, each of at most 8 MiB. */
const PARTS_AT_ONCE = 16;

/** Limit of uploads without a model version, over all processes: 16 of the largest files. */
const UPLOADS = { megabytes: 4_096 };

export function openModels(
  { inference, artifacts: bucket = null, uploads = UPLOADS }: ApiSettings,
  { models: pool, modelFeatures: features }: ApiPools,
  registry: StoredRegistry,
) {
  const artifacts = createArtifactStore(pool, bucket && createBucket(bucket));
  const trying = { pool, features, artifacts, registry, trials: createTrialQueue(), memoryLimitMb: inference.memoryMb };
  return {
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
}

const RETRY_AFTER_SECONDS = 2;

/** Creates a limit on how many files, or parts of files, are in this process's memory at a time. */
function createFileRoom(places: number) {
  let taken = 0;
  return {
    /** Does the work, or rejects with `overloaded` if no place is left. */
    async hold<T>(work: () => Promise<T>): Promise<T> {
      if (taken >= places) {
        throw new TandemError('overloaded', `${places} files are already being transferred, which is the limit.`, {
          retryAfter: RETRY_AFTER_SECONDS,
          remedy: 'retry after the time in Retry-After',
        });
      }
      taken++;
      return work().finally(() => {
        taken--;
      });
    },
  };
}
