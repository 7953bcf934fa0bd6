/**
 * API keys: creates, lists, limits, rotates and revokes them, each change with an audit row, and loads all of them for
 * processes that check requests.
 */

import { TandemError } from '@tandem/freshness/errors';
import { digestOf, type KeyKind, newKeyId, pepperId, type Scope, writeKey } from '@tandem/prediction/keys/api-key';
import type { KeySnapshot, StoredKey } from '@tandem/prediction/keys/key-ring';
import type pg from 'pg';
import { insertAudit } from './sql/audit.ts';
import { type Db, epochMs, query, transaction } from './sql/database.ts';

export interface NewApiKey {
  readonly name: string;
  readonly kind: KeyKind;
  readonly scopes: readonly Scope[];
  /** Milliseconds until expiry; null: never. */
  readonly expiresInMs: number | null;
  /** The limits for each API process; null if there is no limit. */
  readonly requestsPerSecond: number | null;
  readonly livePerSecond: number | null;
  /** The users that its events may make known, over all processes; null if there is no limit. */
  readonly newUsersPerDay: number | null;
}

/** A key as operators see it, with times as ISO texts. */
export interface ApiKey extends Omit<NewApiKey, 'expiresInMs'> {
  readonly id: string;
  /** `rotating`: the previous secret is still accepted, too. */
  readonly state: 'active' | 'rotating' | 'expired' | 'revoked';
  readonly createdAt: string;
  readonly rotatedAt: string | null;
  readonly expiresAt: string | null;
  readonly revokedAt: string | null;
  /** The time until which the previous secret is accepted. */
  readonly previousUntil: string | null;
  /** The id of the pepper that the key was created with. */
  readonly pepperId: string;
}

/** A key with its text, which cannot be read again. */
export interface ApiKeyWithText extends ApiKey {
  readonly key: string;
}

/** The default actor. */
const CLI = 'cli';
/** How long revoked and expired keys are kept, for readers of old logs. */
const KEPT_MS = 90 * 24 * 3_600_000;
/** The maximum number of keys. Every API process keeps all keys in memory, about 600 bytes each. */
export const MOST_KEYS = 10_000;

const ISO = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
const iso = (column: string) => `to_char(${column} at time zone 'UTC', ${ISO})`;

const COLUMNS = `id, name, kind, scopes,
  case when revoked_at is not null then 'revoked' when expires_at <= clock_timestamp() then 'expired'
    when previous_until > clock_timestamp() then 'rotating' else 'active' end as state,
  requests_per_second as "requestsPerSecond", live_per_second as "livePerSecond",
  new_users_per_day as "newUsersPerDay",
  ${iso('created_at')} as "createdAt", ${iso('rotated_at')} as "rotatedAt", ${iso('expires_at')} as "expiresAt",
  ${iso('revoked_at')} as "revokedAt",
  case when previous_until > clock_timestamp() then ${iso('previous_until')} end as "previousUntil",
  pepper_id as "pepperId"`;

/**
 * Creates a key. Rejects with `invalid_input` if there are too many keys.
 * @param actor the creator, for the audit
 */
export function insertApiKey(
  pool: pg.Pool,
  key: NewApiKey,
  pepper: string,
  actor: string = CLI,
): Promise<ApiKeyWithText> {
  const id = newKeyId();
  const text = writeKey(key.kind, id);
  return transaction(pool, async (db) => {
    // The table's trigger marks a change for any delete. So a concurrent creation waits here, too, and counts the keys
    // below.
    await query(db, {
      text: `delete from tandem.api_keys where least(revoked_at, expires_at) < clock_timestamp() - $1 * interval '1 ms'`,
      values: [KEPT_MS],
    });
    const made = await insertUnlessFull(db, id, key, { digest: digestOf(text, pepper), pepperId: pepperId(pepper) });
    const { name, kind, scopes, expiresAt, requestsPerSecond, livePerSecond, newUsersPerDay } = made;
    const detail = { key: id, name, kind, scopes, expiresAt, requestsPerSecond, livePerSecond, newUsersPerDay };
    await insertAudit(db, { actor, action: 'create_key', predictor: null, detail });
    return { ...made, key: text };
  });
}

async function insertUnlessFull(
  db: Db,
  id: string,
  key: NewApiKey,
  { digest, pepperId }: { readonly digest: Buffer; readonly pepperId: string },
): Promise<ApiKey> {
  const { name, kind, scopes, requestsPerSecond, livePerSecond, newUsersPerDay, expiresInMs } = key;
  const limits = [requestsPerSecond, livePerSecond, expiresInMs, MOST_KEYS, newUsersPerDay];
  const [made] = await query<ApiKey>(db, {
    text: `insert into tandem.api_keys
        (id, name, kind, scopes, digest, pepper_id, requests_per_second, live_per_second, expires_at, new_users_per_day)
      select $1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + $9 * interval '1 ms', $11
      where (select count(*) from tandem.api_keys) < $10
      returning ${COLUMNS}`,
    values: [id, name, kind, scopes, digest, pepperId, ...limits],
  });
  if (made) return made;
  throw new TandemError('invalid_input', `There are ${MOST_KEYS} API keys, which is the maximum.`, {
    remedy: 'delete unused keys: delete from tandem.api_keys where …',
  });
}

/** Returns the keys, newest first. */
export async function listApiKeys(db: Db): Promise<readonly ApiKey[]> {
  return query<ApiKey>(db, { text: `select ${COLUMNS} from tandem.api_keys order by created_at desc, id` });
}

export interface Rotation {
  /** The milliseconds for which the previous secret is still accepted; 0: not at all. */
  readonly graceMs: number;
  /**
   * Whether to drop a secret from an earlier rotation that is still accepted. Clients that use it are then rejected.
   */
  readonly dropPrevious: boolean;
}

/**
 * Gives the key a new secret. A key stored under another pepper has no grace period: an API with this pepper could not
 * accept it. Rejects with `invalid_input` if the key cannot be rotated.
 */
export function rotateApiKey(
  pool: pg.Pool,
  id: string,
  rotation: Rotation,
  pepper: string,
  actor: string = CLI,
): Promise<ApiKeyWithText> {
  return transaction(pool, async (db) => {
    const text = writeKey((await findUsable(db, id)).kind, id);
    const rotated = await setSecret(db, id, rotation, { digest: digestOf(text, pepper), pepperId: pepperId(pepper) });
    const detail = { key: id, name: rotated.name, previousUntil: rotated.previousUntil };
    await insertAudit(db, { actor, action: 'rotate_key', predictor: null, detail });
    return { ...rotated, key: text };
  });
}

async function setSecret(
  db: Db,
  id: string,
  { graceMs, dropPrevious }: Rotation,
  { digest, pepperId }: { readonly digest: Buffer; readonly pepperId: string },
): Promise<ApiKey> {
  const [rotated] = await query<ApiKey>(db, {
    text: `update tandem.api_keys set digest = $2, pepper_id = $3, rotated_at = clock_timestamp(),
        previous_digest = case when $4::float8 > 0 and pepper_id = $3 then digest end,
        previous_until = case when $4::float8 > 0 and pepper_id = $3 then clock_timestamp() + $4 * interval '1 ms' end
      where id = $1 and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())
        and ($5 or previous_until is null or previous_until <= clock_timestamp())
      returning ${COLUMNS}`,
    values: [id, digest, pepperId, graceMs, dropPrevious],
  });
  if (rotated) return rotated;
  const { previousUntil } = await findUsable(db, id);
  throw new TandemError(
    'invalid_input',
    `Key ${id} was rotated: its previous secret is accepted until ${previousUntil}.`,
    {
      field: 'id',
      remedy: 'wait until then, or add --drop-previous, which rejects clients that still use that secret',
    },
  );
}

export type KeyLimits = Pick<NewApiKey, 'requestsPerSecond' | 'livePerSecond' | 'newUsersPerDay'>;

/** Changes some limits of the key. Rejects with `invalid_input` if there is no such key, or if it is not in use. */
export function limitApiKey(pool: pg.Pool, id: string, limits: Partial<KeyLimits>): Promise<ApiKey> {
  return transaction(pool, async (db) => {
    const { name } = await findUsable(db, id);
    const limited = (column: string, limit: keyof KeyLimits) =>
      `${column} = case when $2::jsonb ? '${limit}' then ($2::jsonb ->> '${limit}')::float8 else ${column} end`;
    await query(db, {
      text: `update tandem.api_keys set ${limited('requests_per_second', 'requestsPerSecond')},
        ${limited('live_per_second', 'livePerSecond')}, ${limited('new_users_per_day', 'newUsersPerDay')} where id = $1`,
      values: [id, JSON.stringify(limits)],
    });
    await insertAudit(db, { actor: CLI, action: 'limit_key', predictor: null, detail: { key: id, name, ...limits } });
    return findKey(db, id);
  });
}

/** Revokes the key; a repeated call changes nothing. Rejects with `invalid_input` if there is no such key. */
export function revokeApiKey(pool: pg.Pool, id: string, actor: string = CLI): Promise<ApiKey> {
  return transaction(pool, async (db) => {
    const [revoked] = await query<ApiKey>(db, {
      text: `update tandem.api_keys set revoked_at = clock_timestamp() where id = $1 and revoked_at is null
        returning ${COLUMNS}`,
      values: [id],
    });
    if (!revoked) return findKey(db, id);
    await insertAudit(db, { actor, action: 'revoke_key', predictor: null, detail: { key: id, name: revoked.name } });
    return revoked;
  });
}

async function findKey(db: Db, id: string): Promise<ApiKey> {
  const rows = await query<ApiKey>(db, { text: `select ${COLUMNS} from tandem.api_keys where id = $1`, values: [id] });
  return rows[0] ?? refuseUnknown(id);
}

async function findUsable(db: Db, id: string): Promise<ApiKey> {
  const found = await findKey(db, id);
  if (found.state === 'active' || found.state === 'rotating') return found;
  throw new TandemError('invalid_input', `Key ${id} is ${found.state} and cannot be changed.`, {
    field: 'id',
    remedy: 'create another key: tandem key create',
  });
}

function refuseUnknown(id: string): never {
  throw new TandemError('invalid_input', `There is no key ${JSON.stringify(id.slice(0, 80))}.`, {
    field: 'id',
    remedy: 'use an id that tandem key list --all shows',
  });
}

/**
 * Returns all keys in one statement, for a consistent snapshot; no keys if nothing has changed since the known version.
 */
export async function readKeySnapshot(db: Db, knownVersion: string): Promise<KeySnapshot> {
  const rows = await query<{ version: string; now: number; keys: readonly SnapshotKey[] | null }>(db, {
    name: 'tandem-api-keys',
    text: `select v.version::text as version, ${epochMs('statement_timestamp()')} as now,
        case when v.version::text = $1 then null else coalesce((select json_agg(json_build_object(
          'id', k.id, 'name', k.name, 'scopes', k.scopes, 'pepperId', k.pepper_id,
          'digest', encode(k.digest, 'hex'),
          'previousDigest', encode(k.previous_digest, 'hex'), 'previousUntil', ${epochMs('k.previous_until')},
          'expiresAt', ${epochMs('k.expires_at')}, 'revokedAt', ${epochMs('k.revoked_at')},
          'requestsPerSecond', k.requests_per_second, 'livePerSecond', k.live_per_second))
        from tandem.api_keys k), '[]') end as keys
      from tandem.api_keys_version v`,
    values: [knownVersion],
  });
  const [row] = rows;
  if (!row)
    throw new Error('tandem.api_keys_version has lost its row: insert into tandem.api_keys_version default values');
  return { ...row, keys: row.keys === null ? null : row.keys.map(storedKey) };
}

type SnapshotKey = Omit<StoredKey, 'secrets'> & {
  readonly digest: string;
  readonly previousDigest: string | null;
  readonly previousUntil: number | null;
};

function storedKey({ digest, previousDigest, previousUntil, ...key }: SnapshotKey): StoredKey {
  const newest = { digest: Buffer.from(digest, 'hex'), until: null };
  if (previousDigest === null) return { ...key, secrets: [newest] };
  return { ...key, secrets: [newest, { digest: Buffer.from(previousDigest, 'hex'), until: previousUntil }] };
}
