/** The ports to the feature source. Each batch is read with its versions in the same statement. */
import type { Certificate } from '@tandem/freshness/certificate';
import { TandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';

/** A half-open key range as text of the key's type; null is unbounded. */
export interface KeyRange {
  readonly from: string | null;
  readonly to: string | null;
}

/** The result of one V1 statement: the features, and the certificate of the same moment. */
export interface CertifiedFeatures {
  /** The features of users that have a row. A user with two rows is a fault. */
  readonly batch: FeatureBatch;
  readonly certificate: Certificate;
}

/** The rows of named users, read for a chunk. */
export interface NamedFeatures {
  readonly batch: FeatureBatch;
  /** Erased users, with or without a row, from a statement after the batch's. */
  readonly erased: ReadonlySet<string>;
}

/** The users that the certificate of a V1 statement covers: all requested users, or only users with a row. */
export type CertifiedUsers = 'all' | 'with rows';

export interface FeatureSource {
  /**
   * Reads the features of the named users in one statement. By default the statement certifies all of them; certifying
   * fewer users costs less. Rejects with `FeatureQueryFailed` if the query fails, like the other reads.
   */
  readUsers(version: ModelVersion, userIds: readonly string[], certified?: CertifiedUsers): Promise<CertifiedFeatures>;
  /**
   * Reads the features of a chunk of named users. The two reads of a chunk reject with `FeaturesTooSlow` at their time
   * limit.
   */
  readNamed(version: ModelVersion, userIds: readonly string[], lost?: AbortSignal): Promise<NamedFeatures>;
  /**
   * Reads the features of a chunk.
   * @param lost ends the statement in the database when it aborts; the read rejects with its reason
   */
  readRange(version: ModelVersion, range: KeyRange, lost?: AbortSignal): Promise<FeatureBatch>;
  /** Returns the users of a chunk in the keys' order, to be read separately if `readRange` fails. */
  usersOf(version: ModelVersion, range: KeyRange, lost?: AbortSignal): Promise<readonly string[]>;
}

/** The error of Postgres for a feature query that it rejects or that fails. */
interface QueryFault {
  /** The fault of the query: `fails`, `must not write`. */
  readonly what: string;
  /** The message of Postgres. It may quote values of a row, as in `invalid input syntax for type integer: "…"`. */
  readonly words: string;
  readonly sqlState: string;
  readonly remedy: string;
  /**
   * Whether the values of one user may be the cause; false if Postgres rejects the text of the query for every user.
   */
  readonly isOfRow: boolean;
  readonly cause: unknown;
}

/**
 * Thrown if the feature query of a statement is at fault. Unlike after an outage or a timeout, a retry does not help.
 */
export class FeatureQueryFailed extends TandemError {
  readonly fault: QueryFault;

  /** @param predictor the predictor of the query; absent if the caller names it */
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

/**
 * Returns whether to read fewer users after this failure, since the values of one user may have made the query fail.
 */
export function isOfSomeUser(error: unknown): error is FeatureQueryFailed {
  return error instanceof FeatureQueryFailed && error.fault.isOfRow;
}

/** Thrown if the read of a chunk took longer than its limit. Unlike in an outage, the query is at fault. */
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
