/** Distinguishes faults of a feature query from those of the database, with Postgres' message and the fix. */
import { isTandemError } from '@tandem/freshness/errors';
import { FeatureQueryFailed } from '@tandem/prediction/scoring/feature-source';
import pg from 'pg';
import { isConnectionFailure, sqlState, translated } from './database.ts';

/** Rejections of a feature query by Postgres, by SQLSTATE. For other statements the codes mean something else. */
const REFUSALS: Readonly<Record<string, { readonly what: string; readonly remedy: string }>> = {
  '25006': {
    what: 'must not write',
    remedy: 'leave out for update and everything else that writes or locks, also in functions that the query calls',
  },
  '53400': {
    what: 'writes more temporary files than temp_file_limit allows',
    remedy:
      'change the query to sort, join or group fewer rows, or raise temp_file_limit for the login of feature queries',
  },
};

const PLAIN_SELECT = 'write one select with a column user_id and the feature columns, without a semicolon at the end';
const MISSING =
  'correct its name, or create it; outside of the search_path of the login its schema goes before the name';

/** Remedies by SQLSTATE if Postgres gives no hint: a syntax error; an unknown name; a missing right. */
const REMEDIES: Readonly<Record<string, string>> = {
  '3F000': 'correct the name of the schema, or create it',
  '42501': 'grant select on it to the login of feature queries (FEATURES_DATABASE_URL, else DATABASE_URL)',
  '42601': PLAIN_SELECT,
  '42703': 'correct the name of the column, or add it to the table',
  '42883': MISSING,
  '42P01': MISSING,
};

const ANY_REMEDY = 'fix the query, or the rows that it reads; tandem check runs it';

/** Class 42: Postgres rejects the text itself (syntax, a missing name or right), not a value. */
const OF_THE_TEXT = /^42/;

/** Returns the error as a fault of the feature query if the query is at fault; else like `translated`. */
export function queryFault(error: unknown): unknown {
  const refusal = REFUSALS[sqlState(error) ?? ''];
  const said = isTandemError(error) ? error.cause : error;
  if (!(said instanceof pg.DatabaseError)) return error;
  if (!refusal && (isTandemError(error) || isConnectionFailure(error) || isTandemError(translated(error))))
    return error;
  return new FeatureQueryFailed({
    what: refusal?.what ?? 'fails',
    words: said.message,
    sqlState: said.code ?? 'unknown',
    remedy: refusal?.remedy ?? remedyOf(said),
    isOfRow: !OF_THE_TEXT.test(said.code ?? ''),
    cause: said,
  });
}

/** Returns the remedy of a query that Postgres rejects: Postgres' hint, if it gives one. */
export function remedyOf({ hint, code }: pg.DatabaseError): string {
  return hint ?? REMEDIES[code ?? ''] ?? ANY_REMEDY;
}
