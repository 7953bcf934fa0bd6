/**
 * Kept explanations: writes them in batches, finds and lists them, erases them with their users, and removes expired
 * ones.
 */

import type { ModelVersion } from '@tandem/freshness/predictor';
import { inputsOfRow } from '@tandem/prediction/explanations/explanation-keeper';
import type {
  ExplanationQuery,
  ExplanationStore,
  ExplanationToKeep,
  InputSource,
  KeptExplanation,
  KeptFeature,
  KeptInputs,
  NoInputs,
} from '@tandem/prediction/explanations/kept-explanation';
import { IdleCache } from '@tandem/timing/idle-cache';
import type { InferResult } from 'kysely';
import type pg from 'pg';
import { NO_ARMS, textArray } from '../certificate/certificate-statement.ts';
import { readUsers } from '../features/features.ts';
import { numberedVersion } from '../models/model-versions.ts';
import { findModelVersion } from '../models/registry.ts';
import { countChanged, type Db, listsOf, query } from '../sql/database.ts';
import { databaseNow, fetchFirst, fetchRows, statements } from '../sql/statements.ts';

/** The maximum number of explanations of a predictor. The oldest are removed first. */
const MOST_KEPT = 100_000;

export function createExplanationStore(pool: pg.Pool): ExplanationStore {
  return {
    keep: (explanations) => keep(pool, explanations),
    find: (id) => find(pool, id),
    list: (asked) => list(pool, asked),
  };
}

/**
 * Stores explanations. Their time is this database's clock minus their age on the sender's clock. It omits explanations
 * of users that were erased since, and explanations that another history certified, since an erasure cannot compare
 * their labels.
 */
async function keep(db: Db, explanations: readonly ExplanationToKeep[]): Promise<readonly string[]> {
  const kept = await query<{ id: string }>(db, {
    name: 'tandem-keep-explanations',
    text: `insert into tandem.kept_explanations
        (predictor, user_id, model_version_id, at, keep_until, context_version, answer, inputs)
      select k.predictor, k.user_id, v.id, t.at, t.at + k.keep_for * interval '1 ms', k.context_version, k.answer::json,
        k.inputs::json
      from unnest($1::text[], $2::text[], $3::int[], $4::float8[], $5::float8[], $6::bigint[], $7::text[], $8::text[], $9::text[])
        as k(predictor, user_id, model_number, age, keep_for, context_version, history, answer, inputs)
      join tandem.model_versions v on v.predictor = k.predictor and v.number = k.model_number
      cross join lateral (select clock_timestamp() - k.age * interval '1 ms' as at) t
      where (k.history is null or k.history = tandem.current_history())
        and not exists (select from tandem.user_contexts c where c.user_id = k.user_id collate "C"
          and c.deleted_version > 0 and c.deleted_version >= k.context_version)
      order by k.age desc returning id`,
    values: [
      textArray(explanations.map(({ answer }) => answer.predictor)),
      textArray(explanations.map(({ answer }) => answer.userId)),
      explanations.map(({ answer }) => answer.modelNumber),
      ...listsOf(explanations, 'ageMs', 'keepForMs'),
      explanations.map(labelOf),
      explanations.map(({ answer }) => answer.history),
      explanations.map(({ answer }) => JSON.stringify(answer)),
      explanations.map(({ inputs }) => inputsText(inputs)),
    ],
  });
  return kept.map(({ id }) => id);
}

/**
 * Returns the label that an erasure compares with its tombstone. The history of an uncertified answer is unknown, so
 * any erasure deletes it.
 */
function labelOf({ answer }: ExplanationToKeep): number {
  if (answer.history === null) return 0;
  return answer.predictedFromContextVersion ?? answer.contextVersion ?? 0;
}

/** Returns the inputs as JSON with exact numbers: JSON has minus zero, but JSON.stringify writes it as 0. */
function inputsText(inputs: KeptInputs | NoInputs): string {
  if (typeof inputs === 'string') return JSON.stringify(inputs);
  const { features, ...rest } = inputs;
  return `${JSON.stringify(rest).slice(0, -1)},"features":[${features.map(featureText).join(',')}]}`;
}

function featureText({ name, value, event, request }: KeptFeature): string {
  const text = Object.is(value, -0) ? '-0' : JSON.stringify(value);
  const asked = request === undefined ? '' : `,"request":${JSON.stringify(request)}`;
  return `{"name":${JSON.stringify(name)},"value":${text},"event":${JSON.stringify(event)}${asked}}`;
}

/** Returns a statement on explanations that have not expired, since expired rows may not be deleted yet. */
function shown() {
  return statements
    .selectFrom('tandem.kept_explanations')
    .select(['id', 'number', 'model_version_id as modelVersionId', 'at', 'keep_until as keepUntil', 'answer', 'inputs'])
    .where('keep_until', '>', databaseNow());
}

/** Returns a row as an explanation. A row of an older release lacks the last version that concerns the predictor. */
function keptOf(row: InferResult<ReturnType<typeof shown>>[number]): KeptExplanation {
  return { ...row, answer: { lastConcerningVersion: null, ...row.answer } };
}

async function find(db: Db, id: string): Promise<KeptExplanation | undefined> {
  const found = await fetchFirst(db, shown().where('id', '=', id));
  return found && keptOf(found);
}

async function list(db: Db, { predictor, userId, limit, before }: ExplanationQuery): Promise<KeptExplanation[]> {
  let page = shown().orderBy('number', 'desc').limit(limit);
  if (predictor !== undefined) page = page.where('predictor', '=', predictor);
  if (userId !== undefined) page = page.where('user_id', '=', userId);
  if (before !== undefined) page = page.where('number', '<', before);
  return (await fetchRows(db, page)).map(keptOf);
}

/** Deletes explanations of erased users, up to their tombstones; returns the number of rows. */
export function deleteKeptExplanations(db: Db, numbers: readonly number[]): Promise<number> {
  return countChanged(db, {
    text: `delete from tandem.kept_explanations k using tandem.erasures t
      where t.number = any($1::bigint[]) and k.user_id = t.user_id and k.context_version <= t.deleted_version`,
    values: [numbers],
  });
}

/**
 * Deletes expired explanations, by the stored expiry or the predictor's current setting, whichever is earlier. Also
 * deletes the oldest explanations of a predictor with too many. Returns the number of rows.
 * @param rows the maximum number of rows of each kind
 */
export async function expireKeptExplanations(db: Db, rows: number, mostKept = MOST_KEPT): Promise<number> {
  const ended = await countChanged(db, {
    text: `delete from tandem.kept_explanations where ctid = any (array(
      select ctid from tandem.kept_explanations where keep_until <= clock_timestamp() limit $1))`,
    values: [rows],
  });
  const beyond = await countChanged(db, {
    text: `delete from tandem.kept_explanations where ctid = any (array(
      select k.ctid from tandem.predictors p
      cross join lateral (
        select ctid, at from tandem.kept_explanations where predictor = p.name order by number limit $1) k
      where k.at < clock_timestamp() - (p.policy->'explanations'->>'keepForMs')::float8 * interval '1 ms'
      union all
      select k.ctid from tandem.predictors p
      cross join lateral (
        select number from tandem.kept_explanations where predictor = p.name order by number desc offset $2 limit 1) last
      cross join lateral (
        select ctid from tandem.kept_explanations where predictor = p.name and number <= last.number
        order by number limit $1) k))`,
    values: [rows, mostKept],
  });
  return ended + beyond;
}

// The features of users are read again for explanations of answers that were stored long before.

const TIMEOUT_MS = 2_000;

/**
 * Creates the port that reads features again.
 * @param features the pool of feature statements
 * @param timeoutMs the time limit of a read
 */
export function createInputSource(pool: pg.Pool, features: pg.Pool, timeoutMs: number = TIMEOUT_MS): InputSource {
  /** Versions by number and predictor, separated by a blank. */
  const versions = new IdleCache((key) =>
    findByNumber(pool, key.slice(key.indexOf(' ') + 1), Number.parseInt(key, 10)),
  );
  return {
    async readInputs(version, userIds) {
      const { batch } = await readUsers(features, version, userIds, {
        ...{ timeoutMs, known: NO_ARMS, certified: 'with rows' },
      });
      return new Map(batch.userIds.map((userId, row) => [userId, inputsOfRow({ batch, row }, 'after_the_reply')]));
    },
    versionOf: (predictor, number) => versions.get(`${number} ${predictor}`),
  };
}

async function findByNumber(pool: pg.Pool, predictor: string, number: number): Promise<ModelVersion> {
  const row = await fetchFirst(pool, numberedVersion(predictor, number).select('id'));
  if (!row) throw new Error(`predictor ${predictor} has no model version ${number}`);
  return findModelVersion(pool, row.id);
}
