/**
 * Commits the predictions of a chunk and its completion in one transaction (B6). The fence is checked first and its row
 * stays locked, so a worker that lost its lease writes nothing. The run, the history and the protocol are checked last:
 * nothing is written if the run has ended, the labels are of another history, or the schema has another protocol. Users
 * that were erased since their features were read are omitted.
 */
import { assertProtocol } from '@tandem/freshness/protocol';
import { overlayEntries } from '@tandem/prediction/runs/load-chunk';
import type {
  ChunkResult,
  ClaimedChunk,
  CommitOutcome,
  HandedBack,
  Run,
  RunFailure,
  RunState,
} from '@tandem/prediction/runs/runs';
import { eachUser, type ScoredUsers, scoredUsers } from '@tandem/prediction/runs/scored-users';
import type pg from 'pg';
import { textArray } from '../certificate/certificate-statement.ts';
import { FEW_ERASED, findErasedUsers } from '../certificate/erased-users.ts';
import { putEntries } from '../reads/overlay.ts';
import { copyIn } from '../sql/copy.ts';
import { type Db, limitStatements, query, transaction } from '../sql/database.ts';
import { partitionOf } from '../sql/partition.ts';
import { startPublishing } from './chunks.ts';
import { dropUnaffordable } from './spent-budget.ts';

const COMMIT_TIMEOUT_MS = 120_000;
/** The extra time of the client, so that Postgres times out first if it responds. */
const COPY_TIMEOUT_MS = COMMIT_TIMEOUT_MS + 2_000;
/** The maximum number of failures that are kept by user name for a run. All failures are counted. */
const MAX_FAILURES = 1_000;

type Refusal = Extract<CommitOutcome, { committed: false }>;

export async function commitChunk(
  pool: pg.Pool,
  run: Run,
  chunk: ClaimedChunk,
  result: ChunkResult,
): Promise<CommitOutcome> {
  try {
    const committed = await transaction(pool, async (db) => {
      await limitStatements(db, COMMIT_TIMEOUT_MS);
      const written = await withoutErased(db, result.scored);
      const failures = await ofThoseThere(db, result.failures);
      await finishChunk(db, chunk, countsOf(chunk, result, written, failures), result.cpuMs ?? null);
      await writePredictions(db, run, result, written);
      await writeFailures(db, run.id, failures);
      const splitOff = await handBack(db, chunk, result.handedBack);
      await assertCurrent(db, run, result);
      return { written, splitOff };
    });
    return { committed: true, ...committed, chunksOpen: await countOpen(pool, run, chunk) };
  } catch (error) {
    if (error instanceof CommitRefused) return error.outcome;
    throw error;
  }
}

/**
 * Counts open chunks after the commit: of two last chunks that commit concurrently, the later must see that none is
 * open. If the count fails, the commit stays valid: one chunk then counts as open, and the next search for a chunk of
 * the run finds none.
 */
function countOpen(pool: pg.Pool, run: Run, chunk: ClaimedChunk): Promise<number> {
  return dropUnaffordable(pool, run, chunk)
    .then(() => startPublishing(pool, run.id))
    .catch(() => 1);
}

/** Thrown to roll back the transaction. The rejection is a result, not a failure. */
class CommitRefused extends Error {
  readonly outcome: Refusal;
  constructor(why: Refusal['why']) {
    super(why);
    this.outcome = { committed: false, why };
  }
}

/** The numbers of a chunk's users that were scored, failed, or omitted as erased. */
type ChunkCounts = Readonly<Record<'scored' | 'failed' | 'erased', number>>;

/**
 * Returns the counts. Named users may also have been erased before their features were read; the result does not
 * contain them.
 */
function countsOf(
  { part }: ClaimedChunk,
  result: ChunkResult,
  written: ScoredUsers,
  failures: readonly RunFailure[],
): ChunkCounts {
  const usersOf = (some: readonly RunFailure[]) => new Set(some.map(({ userId }) => userId)).size;
  const [scored, failed] = [written.userIds.length, usersOf(failures)];
  const seen = result.scored.userIds.length + usersOf(result.failures);
  const named = 'userIds' in part ? part.userIds.length - (result.handedBack?.userIds.length ?? 0) : 0;
  return { scored, failed, erased: Math.max(named, seen) - scored - failed };
}

async function finishChunk(
  db: Db,
  { runId, no, fence }: ClaimedChunk,
  counts: ChunkCounts,
  cpuMs: number | null,
): Promise<void> {
  const rows = await query(db, {
    text: `update tandem.chunks set state = 'committed', lease_until = null, error = null, scored = $4, failed = $5, erased = $6, cpu_ms = $7,
        committed_at = clock_timestamp(), user_ids = case when split_from is null then user_ids else '{}' end
      where run_id = $1 and no = $2 and fence = $3 and state = 'claimed' returning no`,
    values: [runId, no, fence, counts.scored, counts.failed, counts.erased, cpuMs],
  });
  if (rows.length === 0) throw new CommitRefused('fence_lost');
}

/**
 * Makes chunks of the unscored users, and returns the chunks' numbers. They are chunks of named users, since the rows
 * of a range have no order. The run's row is locked exclusively for the numbers before it is locked shared: two commits
 * that upgrade a shared lock would deadlock.
 */
async function handBack(db: Db, chunk: ClaimedChunk, handedBack?: HandedBack): Promise<readonly number[]> {
  if (!handedBack) return [];
  const { userIds, chunkSize } = handedBack;
  const rows = await query<{ no: number }>(db, {
    text: `with counted as (
        update tandem.runs set chunk_count = chunk_count + $5::int where id = $1 returning chunk_count - $5::int as first
      ) insert into tandem.chunks (run_id, no, split_from, user_ids)
      select $1, (select first from counted) + (n - 1) / $4::int,
        coalesce((select split_from from tandem.chunks where run_id = $1 and no = $2), $2), array_agg(user_id order by n)
      from unnest($3::text[]) with ordinality as left_over (user_id, n) group by (n - 1) / $4::int returning no`,
    values: [chunk.runId, chunk.no, textArray(userIds), chunkSize, Math.ceil(userIds.length / chunkSize)],
  });
  return rows.map(({ no }) => no);
}

async function assertCurrent(db: Db, run: Run, result: ChunkResult): Promise<void> {
  // The run is locked shared, so that chunks commit concurrently, and last, so that a cancellation does not wait for
  // the writes.
  const rows = await query<{ state: RunState; history: string; protocol: number }>(db, {
    text: `select state, tandem.current_history() as history, (select protocol from tandem.settings) as protocol
      from tandem.runs where id = $1 for share`,
    values: [run.id],
  });
  const current = rows[0];
  if (current) assertProtocol(current.protocol);
  if (current?.state !== 'running') throw new CommitRefused('run_ended');
  if (current.history !== run.history || current.history !== result.history) throw new CommitRefused('history_changed');
}

/**
 * Returns the scored users without those that were erased since the read. Contexts are not locked, so a user that is
 * erased during this transaction keeps a row. The row is never served, since its label is not above the deleted
 * version. (Locks would cost 11 ms for 5,000 users, and could not cover users without a row.)
 */
async function withoutErased(db: Db, scored: ScoredUsers): Promise<ScoredUsers> {
  const rows = (await findFewErased(db)) ?? (await findErased(db, scored));
  if (rows.length === 0) return scored;
  const deleted = new Map(rows.map((row) => [row.userId, row.deletedVersion]));
  return scoredUsers(eachUser(scored).filter((user) => user.contextVersion > (deleted.get(user.userId) ?? -1)));
}

interface ErasedUser {
  readonly userId: string;
  readonly deletedVersion: number;
}

/** Returns all erased users if they are few, which is nearly always the case; null if they are many. */
async function findFewErased(db: Db): Promise<readonly ErasedUser[] | null> {
  const rows = await query<ErasedUser>(db, {
    text: `select user_id as "userId", deleted_version as "deletedVersion" from tandem.user_contexts
      where deleted_version > 0 limit $1`,
    values: [FEW_ERASED + 1],
  });
  return rows.length > FEW_ERASED ? null : rows;
}

function findErased(db: Db, { userIds }: ScoredUsers): Promise<readonly ErasedUser[]> {
  return query<ErasedUser>(db, {
    text: `select user_id as "userId", deleted_version as "deletedVersion" from tandem.user_contexts
      where deleted_version > 0 and user_id = any($1::text[])`,
    values: [textArray(userIds)],
  });
}

/** Removes erased users from the failures: a run's report must neither count nor name them. */
async function ofThoseThere(db: Db, failures: readonly RunFailure[]): Promise<readonly RunFailure[]> {
  if (failures.length === 0) return failures;
  const users = failures.map((one) => one.userId);
  const erased = await findErasedUsers(db, users);
  return failures.filter((one) => !erased.has(one.userId));
}

async function writePredictions(db: pg.PoolClient, run: Run, result: ChunkResult, written: ScoredUsers): Promise<void> {
  if (written.userIds.length === 0) return;
  if (run.generationId !== null)
    return copyPredictions(db, run.generationId, result.computedAt, written, COPY_TIMEOUT_MS);
  await putEntries(db, overlayEntries(run, result, written));
}

async function writeFailures(db: Db, runId: string, failures: readonly RunFailure[]): Promise<void> {
  if (failures.length === 0) return;
  await query(db, {
    text: `insert into tandem.run_failures (run_id, user_id, reason)
      select $1, f.user_id, f.reason from unnest($2::text[], $3::text[]) as f(user_id, reason)
      limit greatest(0, $4 - (select count(*) from tandem.run_failures where run_id = $1)) on conflict do nothing`,
    values: [runId, failures.map((one) => one.userId), failures.map((one) => one.reason.slice(0, 1_000)), MAX_FAILURES],
  });
}

// The rows of a chunk are sent by COPY in binary format: one buffer without escaping, which neither side parses as
// text. https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
/** The epoch of Postgres' timestamps, 2000-01-01, which are in microseconds. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

/** Writes rows of a generation whose features were read at one time (ms since 1970). Rejects after `timeoutMs`. */
export function copyPredictions(
  db: pg.PoolClient,
  generationId: string,
  computedAt: number,
  users: ScoredUsers,
  timeoutMs: number,
): Promise<void> {
  const columns = 'generation_id, computed_at, user_id, context_version, outputs';
  const text = `copy ${partitionOf(generationId)} (${columns}) from stdin (format binary)`;
  return copyIn(db, { text, timeoutMs }, encodeRows(generationId, computedAt, users));
}

/** UTF-8 takes at most three bytes for a UTF-16 unit. */
const BYTES_PER_UNIT = 3;
/** The bytes of the lengths of the three fields that differ, and of the context version. */
const FRAME_BYTES = 4 + 4 + 8 + 4;

function encodeRows(generationId: string, computedAt: number, users: ScoredUsers): Buffer {
  const { userIds, contextVersions, outputs, offsets } = users;
  const prefix = rowPrefix(generationId, computedAt);
  let size = SIGNATURE.length + 2 + userIds.length * (prefix.length + FRAME_BYTES) + outputs.length;
  for (const userId of userIds) size += BYTES_PER_UNIT * userId.length;
  const bytes = Buffer.allocUnsafe(size);
  let at = SIGNATURE.copy(bytes);
  for (let i = 0; i < userIds.length; i++) {
    const [start, end] = [offsets[i] as number, offsets[i + 1] as number];
    const contextVersion = contextVersions[i] as number;
    at = putBytes(bytes, at, prefix, 0, prefix.length);
    at = putText(bytes, at, userIds[i] as string);
    at = putInteger(bytes, at, 8);
    at = putInteger(bytes, at, Math.floor(contextVersion / 0x1_0000_0000));
    at = putInteger(bytes, at, contextVersion % 0x1_0000_0000);
    at = putInteger(bytes, at, end - start);
    at = putBytes(bytes, at, outputs, start, end);
  }
  return bytes.subarray(0, bytes.writeInt16BE(-1, at));
}

/** Writes the lower 32 bits of a number. Returns the offset after them. */
function putInteger(bytes: Buffer, at: number, value: number): number {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
  return at + 4;
}

/** Writes byte by byte: for so few bytes Buffer.copy or Buffer.write takes longer. */
function putBytes(bytes: Buffer, at: number, source: Buffer, start: number, end: number): number {
  if (end - start > 64) return at + source.copy(bytes, at, start, end);
  for (let from = start, to = at; from < end; from++, to++) bytes[to] = source[from] as number;
  return at + end - start;
}

/** Writes a text after its length in bytes. */
function putText(bytes: Buffer, at: number, text: string): number {
  const start = at + 4;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) {
      const length = bytes.write(text, start);
      return bytes.writeInt32BE(length, at) + length;
    }
    bytes[start + i] = code;
  }
  return bytes.writeInt32BE(text.length, at) + text.length;
}

/** Returns the prefix of all rows: the number of columns, the generation, the time. */
function rowPrefix(generationId: string, computedAt: number): Buffer {
  const prefix = Buffer.alloc(2 + 4 + 16 + 4 + 8);
  prefix.writeInt16BE(5, 0);
  prefix.writeInt32BE(16, 2);
  prefix.write(generationId.replaceAll('-', ''), 6, 'hex');
  prefix.writeInt32BE(8, 22);
  prefix.writeBigInt64BE(BigInt(Math.round((computedAt - POSTGRES_EPOCH_MS) * 1000)), 26);
  return prefix;
}
