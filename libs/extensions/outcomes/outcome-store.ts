/**
 * Makes outcomes durable: one call, one round trip, one transaction. migrations/0015 defines duplicates, and which
 * records of erased users are kept.
 */

import { asRefusal } from '@tandem/offline-store/events/refusal';
import { type Pool, query } from '@tandem/offline-store/sql/database';
import type { Outcome, OutcomeResult, OutcomeStore } from './outcome.ts';

interface OutcomeStoreOptions {
  /** The milliseconds after which senders get `unavailable`; default: the pool's limits. */
  readonly withinMs?: number;
}

/** How far an outcome may be ahead of Postgres' clock, as for events, since clocks differ. */
const AHEAD = '5 minutes';
/** The greatest accepted age. Windows of metrics are shorter, and ids are kept for longer (retention.ts). */
const BACK = '90 days';

export function createOutcomeStore(pool: Pool, { withinMs }: OutcomeStoreOptions = {}): OutcomeStore {
  return {
    async accept(outcomes) {
      if (outcomes.length === 0) return [];
      return send(pool, outcomes, withinMs).catch((error: unknown) => {
        throw asRefusal(error, outcomes, 'outcome_conflict');
      });
    },
  };
}

async function send(pool: Pool, outcomes: readonly Outcome[], withinMs: number | undefined): Promise<OutcomeResult[]> {
  const rows = await query<{ status: OutcomeResult['status'] }>(pool, {
    name: 'tandem-accept-outcomes',
    text: 'select status from tandem.accept_outcomes($1, $2, $3)',
    values: [JSON.stringify(outcomes), AHEAD, BACK],
    withinMs,
  });
  return outcomes.map(({ id, source, userId }, index) => {
    const row = rows[index];
    if (!row) throw new Error(`outcome ${index} got no result`);
    return { id, source, userId, status: row.status };
  });
}
