/** Ports to the feature source: where features are read, each batch with its versions in the same statement. */
import type { Certificate } from '@tandem/freshness/certificate';
import { TandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';

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

/** What is read of named users for a chunk. */
export interface NamedFeatures {
  readonly batch: FeatureBatch;
  /** Users who are erased, with or without a row, according to a later statement than that of the batch. */
  readonly erased: ReadonlySet<string>;
}

/** Of whom the certificate of a V1 statement speaks: of all users asked for, or only of those who have a row. */
export type CertifiedUsers = 'all' | 'with rows';

export interface FeatureSource {
  /**
   * The features of the named users; one statement. Certifies all of them where it is not said; fewer cost less. Rejects
   * with `FeatureQueryFailed` where the query fails, as the other reads do.
   */
  readUsers(version: ModelVersion, userIds: readonly string[], certified?: CertifiedUsers): Promise<CertifiedFeatures>;
  /** The features of a chunk of named users. The two reads of a chunk reject with `FeaturesTooSlow` at their time limit. */
  readNamed(version: ModelVersion, userIds: readonly string[], lost?: AbortSignal): Promise<NamedFeatures>;
  /**
   * The features of a chunk.
   * @param lost ends the statement in the database when it aborts; the read rejects with its reason
   */
  readRange(version: ModelVersion, range: KeyRange, lost?: AbortSignal): Promise<FeatureBatch>;
  /** The users of a chunk, in the keys' order: those to read apart where `readRange` fails. */
  usersOf(version: ModelVersion, range: KeyRange, lost?: AbortSignal): Promise<readonly string[]>;
}

/** What Postgres says of a feature query that it refuses, or ends with an error. */
interface QueryFault {
  /** `fails`, `must not write`. */
  readonly what: string;
  /** May quote values of a row, as in `invalid input syntax for type integer: "…"`. */
  readonly words: string;
  readonly sqlState: string;
  readonly remedy: string;
  /** Whether the values of one user may be the cause. False if Postgres refuses the text of the query for every user. */
  readonly isOfRow: boolean;
  readonly cause: unknown;
}

/** Rejects a statement whose feature query is at fault, unlike an outage or a time limit: repeating it does not help. */
export class FeatureQueryFailed extends TandemError {
  readonly fault: QueryFault;

  /** @param predictor whose query it is; left out where the caller names it */
  constructor(fault: QueryFault, predictor?: string, userId?: string) {
    const user = userId === undefined ? '' : ` (user ${userId})`;
    const query = predictor === undefined ? 'The feature query' : `The feature query of predictor ${predictor}`;
    super('config_invalid', `${query} ${fault.what}: ${fault.words}${user}`, {
      field: predictor === undefined ? 'features.sql' : `predictors.${predictor}.features.sql`,
      remedy: fault.remedy,
      cause: fault.cause,
    });
    this.fault = fault;
  }
}

/** Whether fewer users may be read where these could not: the values of one of them may have made the query fail. */
export function isOfSomeUser(error: unknown): error is FeatureQueryFailed {
  return error instanceof FeatureQueryFailed && error.fault.isOfRow;
}

/** Rejects the read of a chunk that took longer than its limit: the fault is the query's, unlike that of an outage. */
export class FeaturesTooSlow extends TandemError {
  constructor(predictor: string, limitMs: number, cause: unknown) {
    const text = `The feature query of predictor ${predictor} did not read the users of a chunk within ${limitMs / 1_000} s`;
    super('config_invalid', text, {
      field: `predictors.${predictor}.features.sql`,
      remedy: `make the query faster (\`tandem check\` shows its plan), or lower predictors.${predictor}.batch.chunkSize`,
      cause,
    });
  }
}
