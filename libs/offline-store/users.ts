/** What is stored of one user: the context, its versions, and the candidates that each predictor's arm could answer with. */
import { type Assignment, isErased, UNTOUCHED } from '@tandem/prediction/certificate';
import type { ContextFeatures } from '@tandem/prediction/features';
import type { StoredPrediction } from '@tandem/prediction/stored-prediction';
import type pg from 'pg';
import { armsOf, type CertificateRow, certificateSql, NO_ARMS, textArray } from './certificate-statement.ts';
import { query } from './database.ts';
import { createStoredPredictions } from './predictions.ts';

export interface StoredUser {
  readonly userId: string;
  readonly history: string;
  /** Postgres' clock, ms since 1970. */
  readonly now: number;
  readonly version: number;
  readonly deletedVersion: number;
  readonly erased: boolean;
  /** Predictor → the last version that concerns it. */
  readonly touched: Readonly<Record<string, number>>;
  readonly features: ContextFeatures;
  readonly updatedAt: Date | null;
  readonly predictions: readonly {
    readonly assignment: Assignment;
    readonly candidates: readonly StoredPrediction[];
  }[];
}

interface ContextRow extends Record<string, unknown> {
  readonly version: number;
  readonly deletedVersion: number;
  readonly touched: Record<string, number>;
  readonly features: ContextFeatures;
  readonly updatedAt: Date | null;
}

/** A user of whom nothing is stored has version 0 and no candidates. Of an erased one nothing but versions is given. */
export async function findStoredUser(pool: pg.Pool, userId: string): Promise<StoredUser> {
  const [row] = await query<Record<string, unknown>>(pool, {
    text: certificateSql(1),
    values: [textArray([userId]), NO_ARMS.history, NO_ARMS.revision],
  });
  const { history, now, revision, arms, users } = row ?? {};
  const { assignments } = armsOf([history, now, revision, arms, users] as unknown as CertificateRow, NO_ARMS);
  const [context] = await query<ContextRow>(pool, {
    text: `select version, deleted_version as "deletedVersion", touched, features, updated_at as "updatedAt"
      from tandem.user_contexts where user_id = $1`,
    values: [userId],
  });
  const found = context ?? { ...UNTOUCHED, touched: {}, features: {}, updatedAt: null };
  const erased = isErased({ ...found, touched: 0 });
  const predictions = await Promise.all(
    [...assignments.values()].map(async (assignment) => ({
      assignment,
      candidates: erased ? [] : ((await createStoredPredictions(pool).find(assignment, [userId])).get(userId) ?? []),
    })),
  );
  const { version, deletedVersion, touched, features, updatedAt } = found;
  return {
    userId,
    history: String(history),
    now: Number(now),
    version,
    deletedVersion,
    erased,
    touched,
    features: erased ? {} : features,
    updatedAt,
    predictions,
  };
}
