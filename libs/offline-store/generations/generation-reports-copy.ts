/**
 * Passes two generations side by side to the comparison, with one row per user, from COPY's binary format. Postgres
 * joins the generations, and the feature query for segments. A hash join of a million users in Postgres took less CPU
 * than two reads in user order and a merge in this process, and it sends half the rows. No row is kept, so memory stays
 * constant. https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */

import type { ModelVersion } from '@tandem/freshness/predictor';
import type { ComparedRow, StoredAt } from '@tandem/prediction/reports/compare-generations';
import type { Generation } from '@tandem/prediction/runs/generations';
import pg from 'pg';
import { type Cancellable, cancellableRead } from '../features/cancellable.ts';
import { asRelation, quoteName } from '../features/feature-statement.ts';
import { copyOut, createRowReader } from '../sql/copy.ts';
import { query } from '../sql/database.ts';
import { partitionOf } from '../sql/partition.ts';

/** The extra time limit of the client, as for any statement. */
const GRACE_MS = 2_000;
/** The memory of the join. A larger join uses temporary files of the server. */
const WORK_MEM = '64MB';
/** The number of users whose outputs define the classes of the distributions. */
const SAMPLE = 20_000;

/** Returns the outputs of users of a generation, or of its base: of all users, or of a sample of its pages. */
export async function sampleOutputs(
  pool: pg.Pool,
  { id, baseId, users }: { readonly id: string; readonly baseId: string | null; readonly users: number },
  limits: Cancellable,
): Promise<readonly Buffer[]> {
  // Pages hold different numbers of users, so a few more pages are sampled to get enough users.
  const percent = Math.min(100, (120 * SAMPLE) / Math.max(1, users));
  const part = percent < 100 ? `tablesample system (${percent}) repeatable (1)` : '';
  const text = `copy (select outputs from ${partitionOf(baseId ?? id)} ${part} limit ${SAMPLE}) to stdout (format binary)`;
  const sample: Buffer[] = [];
  await copyWithin(pool, { ...limits, text }, (bytes, field) => {
    sample.push(Buffer.from(bytes.subarray(field.start, field.end)));
  });
  return sample;
}

interface JoinOptions extends Cancellable {
  /** The currently served generation with its base, and the id of the new generation. */
  readonly before: Pick<Generation, 'id' | 'baseId'>;
  readonly now: string;
  /** Whether to omit users that the new generation lacks, since they are served as before. */
  readonly isOfSome: boolean;
  /** The model version whose feature query has the segments. */
  readonly version: Pick<ModelVersion, 'query'>;
  readonly segments: readonly string[];
  /** One in this many users is compared; 1 for all users. */
  readonly oneIn: number;
  /**
   * Whether pages are sampled instead of a hash of user ids. A hash reads all rows; users of one page have neighbouring
   * ids.
   */
  readonly byPages: boolean;
}

/**
 * Passes each user of both generations once, in no particular order.
 * @param pool the pool of feature statements if there are segments
 */
export async function joinGenerations(
  pool: pg.Pool,
  options: JoinOptions,
  take: (row: ComparedRow) => void,
): Promise<void> {
  const { segments, byPages, isOfSome, oneIn } = options;
  const row = emptyRow(segments.length);
  const settings = byPages || (isOfSome && oneIn > 1) ? BY_INDEX : [`set local work_mem = '${WORK_MEM}'`];
  await copyWithin(pool, { ...options, text: joinSql(options), settings }, (bytes, field, index) => {
    const { start, end } = field;
    if (index === 0) {
      row.bytes = bytes;
      row.userId.start = start;
      row.userId.end = end;
    } else if (index <= 2) {
      const stored = index === 1 ? row.before : row.now;
      stored.start = start;
      stored.end = end;
    } else row.segments[index - 3] = start < 0 ? null : bytes.toString('utf8', start, end);
    if (index === segments.length + 2) take(row);
  });
}

/**
 * Settings that make Postgres look up each sampled user by index. Otherwise it would read the whole other generation.
 */
const BY_INDEX = ['set local enable_hashjoin = off', 'set local enable_mergejoin = off'];

function joinSql(options: JoinOptions): string {
  if (options.byPages) return pagesSql(options);
  const { before, now, isOfSome, version, segments, oneIn } = options;
  const columns = segments.map((column) => `, f.${quoteName(column)}::text`).join('');
  const features = (userId: string) =>
    segments.length === 0
      ? ''
      : `left join ${asRelation(version.query.sql)} on (f.user_id::text collate "C") = ${userId}`;
  if (isOfSome) {
    return `copy (select n.user_id, coalesce(o.outputs, b.outputs), n.outputs${columns} from ${someOf(now, oneIn)} n
      ${rowOf(before.id, 'o')} ${rowOf(before.baseId, 'b')} ${features('n.user_id')}) to stdout (format binary)`;
  }
  return `copy (select coalesce(n.user_id, o.user_id), o.outputs, n.outputs${columns}
    from ${servedOf(before, oneIn)} o full join ${someOf(now, oneIn)} n on n.user_id = o.user_id
    ${features('coalesce(n.user_id, o.user_id)')}) to stdout (format binary)`;
}

/** Returns SQL that joins a generation's row of the user; empty if there is no generation. */
function rowOf(generationId: string | null, alias: string): string {
  const id = generationId === null ? 'null' : pg.escapeLiteral(generationId);
  return `left join tandem.predictions ${alias} on ${alias}.generation_id = ${id} and ${alias}.user_id = n.user_id`;
}

/**
 * Returns SQL of the sampled users. Common and new users are on the new generation's pages, missing users on the pages
 * of the other.
 */
function pagesSql({ before, now, oneIn }: JoinOptions): string {
  const [old, made] = [pg.escapeLiteral(before.id), pg.escapeLiteral(now)];
  const some = `tablesample system (${100 / oneIn}) repeatable (1)`;
  return `copy (
    select n.user_id, o.outputs, n.outputs from tandem.predictions n ${some}
      left join tandem.predictions o on o.generation_id = ${old} and o.user_id = n.user_id where n.generation_id = ${made}
    union all
    select o.user_id, o.outputs, null from tandem.predictions o ${some} where o.generation_id = ${old}
      and not exists (select from tandem.predictions n where n.generation_id = ${made} and n.user_id = o.user_id)
  ) to stdout (format binary)`;
}

/** Returns SQL of each user's served row, from the generation or its base. */
function servedOf({ id, baseId }: JoinOptions['before'], oneIn: number): string {
  const own = someOf(id, oneIn);
  if (baseId === null) return own;
  return `(select * from ${own} above union all select * from ${someOf(baseId, oneIn)} below
    where not exists (select from tandem.predictions a where a.generation_id = ${pg.escapeLiteral(id)} and a.user_id = below.user_id))`;
}

function someOf(generationId: string, oneIn: number): string {
  // The partition is not named: the login of feature statements has rights on the parent table only, whose partitions
  // change.
  const some = oneIn === 1 ? '' : `and hashtext(user_id) % ${oneIn} = 0`;
  return `(select user_id, outputs from tandem.predictions where generation_id = ${pg.escapeLiteral(generationId)} ${some})`;
}

function emptyRow(segments: number): ComparedRow {
  const place = () => ({ start: -1, end: -1 });
  return {
    bytes: Buffer.alloc(0),
    userId: place(),
    before: place(),
    now: place(),
    segments: Array.from({ length: segments }, () => null),
  };
}

type TakeField = (bytes: Buffer, field: StoredAt, index: number) => void;

interface Copying extends Cancellable {
  readonly text: string;
  /** Statements to run before the query. */
  readonly settings?: readonly string[];
}

async function copyWithin(pool: pg.Pool, { text, settings = [], ...limits }: Copying, take: TakeField): Promise<void> {
  await cancellableRead(pool, limits, async (db) => {
    for (const setting of settings) await query(db, { text: setting });
    await copyOut(db, { text, timeoutMs: limits.timeoutMs + GRACE_MS }, createFields(take));
  });
}

function createFields(take: TakeField): (bytes: Buffer) => void {
  const place: StoredAt = { start: -1, end: -1 };
  return createRowReader((bytes, start, fields) => {
    let at = start;
    for (let index = 0; index < fields; index++) {
      const length = bytes.readInt32BE(at);
      at += 4;
      place.start = length < 0 ? -1 : at;
      if (length > 0) at += length;
      place.end = at;
      take(bytes, place, index);
    }
    return at;
  });
}
