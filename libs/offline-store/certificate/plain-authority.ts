/**
 * The authority for callers without a strict time limit, such as re-scoring. It returns the same certificate without
 * tombstones, over a pool that other statements share.
 */
import type { Authority } from '@tandem/freshness/certificate';
import type pg from 'pg';
import { queryOne } from '../sql/database.ts';
import { askedOf } from './authority.ts';
import {
  armsOf,
  type CertificateRow,
  certificateOf,
  certificateSql,
  NO_ARMS,
  textArray,
} from './certificate-statement.ts';

interface Row {
  readonly history: string;
  readonly now: number;
  readonly revision: number;
  readonly arms: string | null;
  readonly users: string | null;
  readonly protocol: number;
}

/** The time limit of a certificate, in ms. */
const WITHIN_MS = 5_000;

/** Creates the authority. Certificates are to be requested one after the other. */
export function createPlainAuthority(pool: pg.Pool): Authority {
  let known = NO_ARMS;
  return {
    async certify(userIds, ...predictors) {
      const asked = askedOf(userIds, predictors);
      const row = await queryOne<Row>(pool, {
        name: 'tandem-plain-certificate',
        text: certificateSql({ asked: 'unnest($1::text[], $4::text[])', history: 2, revision: 3 }),
        values: [textArray(asked.userIds), known.history, known.revision, textArray(asked.predictors)],
        withinMs: WITHIN_MS,
      });
      const parts: CertificateRow = [row.history, row.now, row.revision, row.arms, row.users, row.protocol];
      known = armsOf(parts, known);
      return certificateOf(parts, known, asked);
    },
  };
}
