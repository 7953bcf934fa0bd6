/**
 * The service under hostile input: an API process on the given database and Redis, with one predictor, twenty users, two
 * published generations of all users, and one acknowledged event. The corpus and the fuzz both use it.
 */

import type { KeyType } from '@tandem/freshness/user-id';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import { createPool } from '@tandem/offline-store/sql/database';
import { COUNT, countPredictor, type Pool } from '../../e2e/counts.fixture.ts';
import { endPrograms, type Program, startProgram } from '../../e2e/program.fixture.ts';
import { until } from '../../e2e/until.fixture.ts';

export interface HostileService {
  readonly url: string;
  readonly port: number;
  readonly grpcPort: number;
  readonly pool: Pool;
  readonly api: Program;
  /** The id of the run that scored all users. */
  readonly runId: string;
  /** The context token of the first user's event. */
  readonly contextToken: string;
  /** The entity tag of that user's stored prediction. */
  readonly etag: string;
  close(): Promise<void>;
}

export interface Stores {
  readonly databaseUrl: string;
  readonly redisUrl: string;
}

const USERS = 20;
/** The SQL expression for the id of user `n`. */
const ID: Readonly<Record<'int8' | 'text', string>> = { int8: 'n::bigint', text: "'user ' || n" };

export type HostileKey = keyof typeof ID;

/** Returns the id of the first user, who has an event. */
export function firstUser(keyType: HostileKey): string {
  return keyType === 'int8' ? '1' : 'user 1';
}

/** @param stores an empty, migrated database, and a Redis without other clients */
export async function startService(stores: Stores, keyType: HostileKey): Promise<HostileService> {
  const pool = createPool({ url: stores.databaseUrl, max: 4, applicationName: 'hostile' });
  const programs: Program[] = [];
  try {
    await pool.query(`create table counts as
      select ${ID[keyType]} as user_id, 0::int as changes, 0::float8 as load, now() - interval '1 hour' as loaded_at
        from generate_series(1, ${USERS}) n;
      alter table counts add primary key (user_id);
      analyze counts`);
    await adopt(pool, { actor: 'hostile', predictors: [keyedBy(keyType)] });
    const environment = { DATABASE_URL: stores.databaseUrl, REDIS_URL: stores.redisUrl, INFERENCE_PROCESSES: '1' };
    const api = startProgram('api', { ...environment, PORT: '0', GRPC_PORT: '0' });
    programs.push(api);
    const started = await api.logged('api.started');
    const url = String(started.url);
    const runId = await scoreTwice(url, environment, programs);
    const contextToken = await sendFirstEvent(url, firstUser(keyType));
    const first = `${url}/v1/predictions/${COUNT}/${encodeURIComponent(firstUser(keyType))}`;
    const etag = await until('the first user has an answer', async () => (await fetch(first)).headers.get('etag'));
    return {
      url,
      port: Number(new URL(url).port),
      grpcPort: Number(String(started.grpc).split(':').at(-1)),
      pool,
      api,
      runId,
      contextToken,
      etag,
      close: () => close(pool, programs),
    };
  } catch (error) {
    await close(pool, programs);
    throw error;
  }
}

async function close(pool: Pool, programs: readonly Program[]): Promise<void> {
  await endPrograms(programs);
  await pool.end();
}

function keyedBy(keyType: KeyType): PredictorToAdopt {
  // The time limit of a live read allows for a busy machine.
  const freshness = { maxAgeMs: 3_600_000, default: { score: 0.5 }, liveTimeoutMs: 20_000 };
  const predictor = countPredictor({ freshness });
  const { query } = predictor.definition;
  // The query returns the time of its row, so that values of events count.
  const timed = { ...query, sql: 'select user_id, load, changes, loaded_at from counts', asOf: 'loaded_at' };
  return { ...predictor, definition: { ...predictor.definition, keyType, query: timed } };
}

/** Scores all users twice, so that a rollback is possible. The worker then ends, so that only requests change data. */
async function scoreTwice(
  url: string,
  environment: Readonly<Record<string, string>>,
  programs: Program[],
): Promise<string> {
  const worker = startProgram('worker', environment);
  programs.push(worker);
  await scoreEverybody(url);
  const runId = await scoreEverybody(url);
  worker.kill('SIGTERM');
  await worker.ended;
  return runId;
}

async function scoreEverybody(url: string): Promise<string> {
  const started = await send(`${url}/v1/runs`, 'application/json', { predictor: COUNT, scope: 'all' });
  const { id } = (await started.json()) as { id: string };
  await until('every user is scored', async () => {
    const { state } = (await (await fetch(`${url}/v1/runs/${id}`)).json()) as { state: string };
    if (state === 'failed' || state === 'cancelled') throw new Error(`the run is ${state}`);
    return state === 'done';
  });
  return id;
}

async function sendFirstEvent(url: string, subject: string): Promise<string> {
  const event = { specversion: '1.0', id: 'first', source: '/hostile', type: 'changed', subject, data: { changes: 1 } };
  const answer = await send(`${url}/v1/events`, 'application/cloudevents+json', event);
  const { results } = (await answer.json()) as { results: { contextToken: string }[] };
  const token = results[0]?.contextToken;
  if (token === undefined) throw new Error(`the first event was refused with ${answer.status}`);
  return token;
}

function send(url: string, type: string, body: unknown): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'content-type': type }, body: JSON.stringify(body) });
}
