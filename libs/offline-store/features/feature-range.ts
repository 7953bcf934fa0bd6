/** The features of a key range, for a chunk: a COPY in binary form, decoded as its rows come. */

import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { KeyRange } from '@tandem/prediction/scoring/feature-source';
import type pg from 'pg';
import { copyOut } from '../sql/copy.ts';
import { execute } from '../sql/database.ts';
import { createFeatureRows } from './feature-rows.ts';
import { featureTypesSql, rangeCopySql } from './feature-statement.ts';
import { formOf } from './native-values.ts';

/**
 * Reads the types first: they cannot change before the rows are read, since the transaction has what it reads locked.
 * @param db inside a transaction
 */
export async function readRange(
  db: pg.PoolClient,
  version: ModelVersion,
  range: KeyRange,
  timeoutMs: number,
): Promise<FeatureBatch> {
  const { query } = version;
  const { fields } = await execute(db, { text: featureTypesSql(query), timeoutMs });
  const oids = fields.map((field) => field.dataTypeID);
  const rows = createFeatureRows(version, oids);
  const asText = query.columns.map(({ kind }, i) => formOf(kind, oids[i] ?? 0).asText);
  await copyOut(db, { text: rangeCopySql(version, range, asText), timeoutMs }, rows.take);
  return rows.finish();
}
