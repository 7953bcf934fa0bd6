/** Ports to the feature source: where features are read, each batch with its versions in the same statement. */
import type { Certificate } from '../certificate.ts';
import type { ModelVersion } from '../predictor.ts';
import type { FeatureBatch } from './features.ts';

/** A half-open key range as text of the key's type; null is unbounded. */
export interface KeyRange {
  readonly from: string | null;
  readonly to: string | null;
}

/** What one V1 statement gives: the features, and the certificate of the same moment. */
export interface CertifiedFeatures {
  /** Holds only users that have a row; users with two rows are a fault. */
  readonly batch: FeatureBatch;
  readonly certificate: Certificate;
}

/** Of whom the certificate of a V1 statement speaks: of all users asked for, or only of those who have a row. */
export type CertifiedUsers = 'all' | 'with rows';

export interface FeatureSource {
  /** The features of the named users; one statement. Certifies all of them where it is not said; fewer cost less. */
  readUsers(version: ModelVersion, userIds: readonly string[], certified?: CertifiedUsers): Promise<CertifiedFeatures>;
  /** The features of a chunk. */
  readRange(version: ModelVersion, range: KeyRange): Promise<FeatureBatch>;
}
