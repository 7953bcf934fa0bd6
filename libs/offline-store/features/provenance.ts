/** Finds the current source of each feature of one user: the feature source's row, or an event that overlays it. */

import { type ContextValue, scorableRows } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type pg from 'pg';
import { NO_ARMS } from '../certificate/certificate-statement.ts';
import type { Decoded } from './feature-decoding.ts';
import { readUsers } from './features.ts';

interface FeatureProvenance {
  readonly name: string;
  /** The value that the model receives. */
  readonly value: number | string | null;
  /** The source; `default` for a request feature, which only a call sends. */
  readonly from: 'row' | 'event' | 'default';
  /** The row's value, if an event overrides it. */
  readonly rowValue?: number | string | null;
  readonly event?: { readonly source: string; readonly id: string; readonly time: number; readonly accepted: number };
}

/** Reads the features like live inference, in one statement. Rejects like FeatureSource.readUsers. */
export async function findProvenance(pool: pg.Pool, version: ModelVersion, userId: string, timeoutMs = 2_000) {
  const laid = new Map<number, { own: Decoded; entry: ContextValue }>();
  const onOverlay = (row: number, column: number, own: Decoded, entry: ContextValue) => {
    if (row === 0) laid.set(column, { own, entry });
  };
  const { batch, certificate } = await readUsers(pool, version, [userId], { timeoutMs, known: NO_ARMS, onOverlay });
  /**
   * The features; empty if the user has no row. Request features without a default are omitted, since only a call has
   * their values.
   */
  const features =
    batch.userIds.length === 0
      ? []
      : batch.columns.flatMap((column, i): FeatureProvenance[] => {
          const { name } = column;
          const value = batch.values[i]?.[0] ?? null;
          const overlay = laid.get(i);
          if (i >= (batch.requestFrom ?? batch.columns.length)) {
            return 'default' in column ? [{ name, value, from: 'default' }] : [];
          }
          if (!overlay) return [{ name, value, from: 'row' }];
          const { source, id, time, accepted } = overlay.entry;
          return [{ name, value, from: 'event', rowValue: overlay.own.value, event: { source, id, time, accepted } }];
        });
  const scorable = scorableRows(batch).length > 0 || batch.userIds.length === 0;
  /** Why the user cannot be scored. */
  const fault = scorable ? null : (batch.faults.get(0) ?? null);
  return { batch, certificate, features, fault };
}
