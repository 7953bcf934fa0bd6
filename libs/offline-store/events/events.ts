/**
 * Makes events durable: one call, one round trip, one transaction. The trigger in migrations/0004 applies an event to a
 * context, even if an application inserts it in SQL. This module turns failures into domain errors.
 */
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { type ContextEvent, contextToken, type EventResult, type EventStore } from '@tandem/prediction/events/events';
import pg from 'pg';
import { type Db, query, sqlState } from '../sql/database.ts';
import { asRefusal } from './refusal.ts';

interface EventStoreOptions {
  /** How long a batch waits for a user that another transaction has locked, in ms. */
  readonly lockTimeoutMs?: number;
  /**
   * The milliseconds after which senders get `unavailable`, whatever the delay in Postgres; default: the pool's limits.
   */
  readonly withinMs?: number;
}

/**
 * The maximum number of attempts. If two senders of one id or of the same users conflict, Postgres may end one of them;
 * its retry finds the other's result.
 */
const ATTEMPTS = 3;

export function createEventStore(pool: pg.Pool, options: EventStoreOptions = {}): EventStore {
  return {
    accept: (events, keyId) =>
      events.length === 0 ? Promise.resolve([]) : acceptRetrying(pool, events, keyId, options),
  };
}

async function acceptRetrying(
  pool: pg.Pool,
  events: readonly ContextEvent[],
  keyId: string | undefined,
  options: EventStoreOptions,
) {
  const sent = JSON.stringify(events);
  const { lockTimeoutMs = 1_000, withinMs } = options;
  const began = performance.now();
  // All attempts share one time limit, so that a sender with conflicts is answered as soon as others.
  const leftMs = () => (withinMs === undefined ? undefined : Math.max(1, withinMs - (performance.now() - began)));
  for (let attempt = 1; ; attempt++) {
    try {
      return await sendEvents(pool, events, sent, { keyId, lockTimeoutMs, withinMs: leftMs() });
    } catch (error) {
      if (attempt < ATTEMPTS && isRace(error)) continue;
      throw asEventError(error, events);
    }
  }
}

interface ResultRow {
  readonly status: EventResult['status'];
  readonly userId: string;
  readonly version: number;
  readonly history: string;
  readonly ignored: readonly string[] | null;
}

/**
 * SQL that returns one result per event, in order, with the names in its data that no predictor uses. It compares the
 * names with those of every predictor, active or not, by the current rules, as migrations/0004 does. These names are
 * only informative: the trigger has decided the effect of the event.
 */
const SEND = `
  select r.status, r.user_id as "userId", r.context_version as version, r.history,
    case when jsonb_typeof(r.data) = 'object' then nullif(array(
      select left(name, 64) from jsonb_object_keys(r.data) as d(name)
      where not (select coalesce(jsonb_object_agg(f.name, true), '{}')
        from tandem.predictors p, jsonb_object_keys(p.event_features) as f(name)) ? name
      order by name collate "C" limit 10), '{}') end as ignored
  from rows from (tandem.send_events($1, $2, $3), jsonb_to_recordset($1) as (data jsonb))
    as r(user_id, context_version, status, history, data)`;

async function sendEvents(
  db: Db,
  events: readonly ContextEvent[],
  sent: string,
  {
    keyId,
    lockTimeoutMs,
    withinMs,
  }: { readonly keyId: string | undefined; readonly lockTimeoutMs: number; readonly withinMs: number | undefined },
) {
  const rows = await query<ResultRow>(db, {
    name: 'tandem-send-events',
    text: SEND,
    values: [sent, lockTimeoutMs, keyId ?? null],
    withinMs,
  });
  return events.map(({ id, source }, index): EventResult => {
    const row = rows[index];
    if (!row) throw new Error(`event ${index} got no result`);
    const { status, userId, version, history, ignored } = row;
    const result = {
      id,
      source,
      status,
      userId,
      contextVersion: version,
      contextToken: contextToken(history, version),
    };
    return ignored === null ? result : { ...result, ignored };
  });
}

function isRace(error: unknown): boolean {
  const state = sqlState(error);
  return state === '40P01' || state === '40001' || isIdCollision(error);
}

function isIdCollision(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '23505' && error.table === 'event_ids';
}

function asEventError(error: unknown, events: readonly ContextEvent[]): unknown {
  if (sqlState(error) === '55P03') {
    const text = 'Other transactions hold users of these events, or the quota of the API key, for too long.';
    const remedy = 'retry after the time in Retry-After; none of these events was applied';
    return new TandemError('unavailable', text, { retryAfter: 1, remedy, cause: error });
  }
  if (isTandemError(error) || !(error instanceof pg.DatabaseError)) return error;
  if (isIdCollision(error)) {
    return new TandemError('event_conflict', 'An event id of this batch is being used for another event.', {
      field: '[0].id',
      remedy: 'give each event a different id; repeat an event unchanged',
      cause: error,
    });
  }
  if (error.code === 'TD429') {
    const { message, detail, hint = '' } = error;
    const retryAfter = detail === undefined ? {} : { retryAfter: Number(detail) };
    return new TandemError('rate_limited', message, { ...retryAfter, remedy: hint, cause: error });
  }
  const refused = asRefusal(error, events, 'event_conflict');
  return refused === error ? unstorable(error) : refused;
}

/**
 * Returns the error for text or numbers that jsonb cannot hold; other errors are unchanged. The API rejects such values
 * first; if it misses one, the event is still at fault.
 */
function unstorable(error: pg.DatabaseError): unknown {
  if (!/^22/.test(error.code ?? '')) return error;
  return new TandemError('invalid_input', 'An event holds a text, number or time that cannot be stored.', {
    field: '[0]',
    remedy: 'send text without NUL and lone surrogates, numbers that a double holds, times as RFC 3339',
    cause: error,
  });
}
