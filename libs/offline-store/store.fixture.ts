/** Fixtures for this package's integration tests: a separate database, and a predictor for it. */
import { createHash, randomUUID } from 'node:crypto';
import type { KeyType } from '@tandem/freshness/user-id';
import { expire } from '@tandem/prediction/runs/expire';
import pg from 'pg';
import type { PredictorToAdopt } from './adopt.ts';
import { createFeatureSource } from './features/features.ts';
import { createStoredPredictions } from './reads/predictions.ts';
import { createExpiries } from './retention.ts';
import { createPool } from './sql/database.ts';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
    templateDatabase: string;
  }
}

export interface TestDatabase {
  readonly url: string;
  readonly pool: pg.Pool;
  /** Empties the database for the next test, which is far faster than creating another. */
  reset(): Promise<void>;
  drop(): Promise<void>;
}

/**
 * Creates a database for tests.
 * @param template a migrated database to clone; without it the new database is empty
 */
export async function createTestDatabase(serverUrl: string, template?: string): Promise<TestDatabase> {
  const name = `offline_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
  await onServer(serverUrl, `create database ${name}${template ? ` template ${template} strategy file_copy` : ''}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const pool = createPool({ url: url.href, max: 20, applicationName: 'offline-store-test' });
  return {
    url: url.href,
    pool,
    reset: async () => void (await pool.query(RESET)),
    async drop() {
      await pool.end();
      await onServer(serverUrl, `drop database ${name} with (force)`);
    },
  };
}

const RESET = `do $$ declare partition regclass; begin
  -- First, so that the drop of a watched table is no fault.
  truncate tandem.watched_sources, tandem.watched_relations, tandem.watch_faults restart identity;
  for partition in select inhrelid::regclass from pg_inherits where inhparent = 'tandem.predictions'::regclass loop
    execute 'drop table ' || partition;
  end loop;
  drop table if exists visits cascade;
  truncate tandem.predictors, tandem.processes, tandem.artifacts, tandem.artifact_parts, tandem.artifact_objects, tandem.user_contexts, tandem.events,
    tandem.events_before, tandem.expiry_steps, tandem.event_ids, tandem.outbox, tandem.unused_event_names, tandem.audit, tandem.overlay, tandem.erasures, tandem.outcomes,
    tandem.read_demand restart identity cascade;
  update tandem.settings set key_type = null, erasures = 0, context_horizon = null;
end $$`;

/** Removes all expired rows, and returns how many. Throws if a step fails. */
export async function expireRows(pool: pg.Pool): Promise<number> {
  const { rowsExpired, errors } = await expire(createExpiries(pool), { pause: () => Promise.resolve() });
  if (errors.length > 0) throw new Error(errors.join(', '));
  return rowsExpired;
}

/**
 * Creates a table with ids from 1 to `users`, and the predictor `visits` over it. Its events may carry the features.
 */
export async function createVisits(pool: pg.Pool, users: number): Promise<void> {
  await pool.query(`
    create table visits (user_id bigint primary key, recency double precision not null, orders int not null,
      member boolean not null, city text not null, loaded_at timestamptz not null default now());
    insert into visits select n, n * 0.5, n, n % 2 = 0, 'city ' || n % 7, now() - interval '1 hour' from generate_series(1, ${users}) n;
    analyze visits`);
}

export const VISITS_SQL = 'select user_id, recency, orders, member, city, loaded_at from visits';

export function visitsPredictor(changes: Partial<PredictorToAdopt> & { model?: string; keyType?: KeyType } = {}) {
  const artifact = Buffer.from(changes.model ?? 'a model');
  const name = changes.name ?? 'visits';
  const predictor: PredictorToAdopt = {
    name,
    artifact,
    policy: {
      freshness: {
        maxAgeMs: 3_600_000,
        live: true,
        liveTimeoutMs: 50,
        onLiveFailure: 'stale',
        unverified: true,
        default: { score: 0.2 },
        events: ['*'],
      },
      batch: { schedule: null, chunkSize: 100, minCoverage: 0.9 },
    },
    definition: {
      predictor: name,
      artifactHash: createHash('sha256').update(artifact).digest('hex'),
      keyType: changes.keyType ?? 'int8',
      query: {
        sql: VISITS_SQL,
        columns: [
          { name: 'recency', kind: 'number' },
          { name: 'orders', kind: 'integer' },
          { name: 'member', kind: 'boolean' },
          { name: 'city', kind: 'string' },
        ],
        asOf: 'loaded_at',
        overlayForMs: null,
      },
      inputs: [{ name: 'x', type: 'float32', columns: ['recency', 'orders', 'member'] }],
      outputs: [{ name: 'score', output: 'probabilities', type: 'float32', width: null, index: 1 }],
    },
  };
  const { model: _model, keyType: _keyType, ...rest } = changes;
  return { ...predictor, ...rest } satisfies PredictorToAdopt;
}

/** A time limit in ms that a busy machine does not reach. */
const PATIENCE_MS = 20_000;

/**
 * Creates a feature source with 20 s for each live read. The default of 2 s is for production, and a busy machine
 * exceeds it. Tests of the limit itself set a shorter one.
 */
export function patientFeatures(pool: pg.Pool) {
  return createFeatureSource(pool, { usersTimeoutMs: PATIENCE_MS });
}

/**
 * Creates a finder of stored predictions with 20 s for each lookup. The default of 0.5 s is for production, where a
 * read can still infer live, and a busy machine exceeds it.
 */
export function patientPredictions(pool: pg.Pool) {
  return createStoredPredictions(pool, { withinMs: PATIENCE_MS });
}

async function onServer(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(text);
  await client.end();
}
