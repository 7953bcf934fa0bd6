/** The feature source on Postgres: the predictor's own query, wrapped so that each row has its label. */
import { type Certificate, isOvertaken, type UserState } from '@tandem/freshness/certificate';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { assertProtocol, PROTOCOL } from '@tandem/freshness/protocol';
import { withRequestDefaults } from '@tandem/freshness/request-features';
import {
  type CertifiedFeatures,
  type CertifiedUsers,
  FeatureQueryFailed,
  type FeatureSource,
  FeaturesTooSlow,
  type KeyRange,
  type NamedFeatures,
} from '@tandem/prediction/scoring/feature-source';
import type pg from 'pg';
import {
  armsOf,
  type CertificateRow,
  certificateOf,
  type KnownArms,
  NO_ARMS,
  stateOf,
  textArray,
} from '../certificate/certificate-statement.ts';
import { findErasedUsers } from '../certificate/erased-users.ts';
import { query, sqlState, translated } from '../sql/database.ts';
import { queryFault } from '../sql/query-fault.ts';
import { cancellableRead, TransactionTooLong } from './cancellable.ts';
import { decodeBatch, type OverlayListener, type RawRow } from './feature-decoding.ts';
import { readChunkRows } from './feature-rows.ts';
import { type LimitedStatement, readOnce } from './feature-session.ts';
import { LEADING_COLUMNS, packedUsersSql, rangeUsersSql, TRAILING_COLUMNS, usersSql } from './feature-statement.ts';
import { isPackable, PACKED_FORM, unpackRows } from './packed-rows.ts';
import { boundRows, type RefusedRows, type RowForm, TEXT_FORM } from './row-bounds.ts';

interface FeatureSourceOptions {
  /** Time limit in ms of a live read's features. */
  readonly usersTimeoutMs?: number;
  /** Time limit in ms of a chunk's features, by range or by name. */
  readonly rangeTimeoutMs?: number;
}

const MS_PER_USER = 5;
/** The extra time of the client, so that Postgres times out first if it responds. */
const CLIENT_GRACE_MS = 2_000;
/** A signal that never aborts, for chunks that are read without a lease. */
const NEVER = new AbortController().signal;

/**
 * Creates the feature source over the pool of feature statements, which may have a separate login. Its reads reject
 * with `unavailable` if Postgres does not answer or a live read takes too long; with `FeatureQueryFailed` if the
 * feature query fails; with `FeaturesTooSlow` if it takes too long for a chunk. Users with unusable values do not make
 * a read reject: they are `faults` of the batch.
 */
export function createFeatureSource(pool: pg.Pool, options: FeatureSourceOptions = {}): FeatureSource {
  const { usersTimeoutMs = 2_000, rangeTimeoutMs = 300_000 } = options;
  const read = createUsersReader(pool);
  const readChunk = <T>(version: ModelVersion, lost: AbortSignal, work: (db: pg.PoolClient) => Promise<T>) =>
    cancellableRead(pool, { timeoutMs: rangeTimeoutMs, signal: lost }, work).catch((error: unknown) => {
      if (error instanceof TransactionTooLong) throw new FeaturesTooSlow(version.predictor, rangeTimeoutMs, error);
      return rethrow(version)(error);
    });
  const timeoutMs = rangeTimeoutMs + CLIENT_GRACE_MS;
  return {
    readUsers: (version, userIds, certified) =>
      read(version, userIds, { timeoutMs: usersTimeoutMs + MS_PER_USER * userIds.length, certified }),
    readNamed: (version, userIds, lost = NEVER) =>
      readChunk(version, lost, (db) => readNamed(db, version, userIds, timeoutMs)),
    readRange: (version, range, lost = NEVER) =>
      readChunk(version, lost, (db) => readChunkRows(db, version, range, timeoutMs)),
    usersOf: (version, range, lost = NEVER) => readChunk(version, lost, (db) => usersOf(db, version, range, timeoutMs)),
  };
}

type ReadUsers = (
  version: ModelVersion,
  userIds: readonly string[],
  options: Pick<UsersOptions, 'timeoutMs' | 'certified'>,
) => Promise<CertifiedFeatures>;

/** The facts that a packed read of a version's features needs. */
interface Packing {
  /** The last known type OIDs of its feature columns. */
  readonly oids: readonly number[];
  readonly text: string;
}

/**
 * Creates the reader of named users. Reads that certify only users with rows use the packed form, after the types of
 * the version's columns are known. Other reads, and reads with an unexpected form, use the full statement.
 */
function createUsersReader(pool: pg.Pool): ReadUsers {
  let known = NO_ARMS;
  /** The packed form of each version that the registry keeps; null if its features cannot be read packed. */
  const packings = new WeakMap<ModelVersion, Packing | null>();

  return async (version, userIds, { timeoutMs, certified }) => {
    const deadline = performance.now() + timeoutMs;
    const before = known;
    const packing = certified === 'with rows' ? packings.get(version) : null;
    if (packing) {
      const read = await readPacked(pool, version, userIds, { timeoutMs, known: before }, packing);
      // The types differ from the expected types (a domain), or the table was altered. The packed form is not tried
      // again.
      if (read === 'other types') packings.set(version, null);
      else if (read !== 'other arms') return read;
    }
    // After a publication, concurrent reads send a second statement, within the same time limit.
    const leftMs = Math.max(1, deadline - performance.now());
    const read = await readUsers(pool, version, userIds, { timeoutMs: leftMs, known: before, certified });
    if (packing === undefined) packings.set(version, packingOf(version, read.oids));
    if (!isOvertaken(read.arms, before, known)) known = read.arms;
    return { batch: read.batch, certificate: read.certificate };
  };
}

function packingOf(version: ModelVersion, oids: readonly number[]): Packing | null {
  return isPackable(version, oids) ? { oids, text: packedUsersSql(version) } : null;
}

export interface UsersRead extends CertifiedFeatures {
  readonly certificate: Certificate;
  readonly arms: KnownArms;
  /** The type OIDs of the feature columns. */
  readonly oids: readonly number[];
}

interface UsersOptions {
  readonly timeoutMs: number;
  readonly known: KnownArms;
  readonly certified?: CertifiedUsers | undefined;
  readonly onOverlay?: OverlayListener;
}

/** Reads users in one V1 statement. */
export async function readUsers(
  pool: pg.Pool,
  version: ModelVersion,
  userIds: readonly string[],
  options: UsersOptions,
): Promise<UsersRead> {
  const statement = { ...usersStatement(version, userIds, options), name: `tandem-features-${version.id}` };
  const read = await select(pool, version, statement, TEXT_FORM);
  return usersRead(version, read, userIds, options);
}

/**
 * Reads the features of named users for a chunk, then finds the erased users with a second statement, which labels no
 * prediction.
 */
async function readNamed(
  db: pg.PoolClient,
  version: ModelVersion,
  userIds: readonly string[],
  timeoutMs: number,
): Promise<NamedFeatures> {
  const batch = await readChunkRows(db, version, { userIds }, timeoutMs);
  return { batch, erased: await findErasedUsers(db, userIds, timeoutMs) };
}

async function usersOf(
  db: pg.PoolClient,
  version: ModelVersion,
  { from, to }: KeyRange,
  timeoutMs: number,
): Promise<string[]> {
  const values = [from, to].filter((bound) => bound !== null);
  const rows = await query<{ key: string }>(db, { text: rangeUsersSql(version, { from, to }), values, timeoutMs });
  return rows.map(({ key }) => key);
}

function usersStatement(
  version: ModelVersion,
  userIds: readonly string[],
  { timeoutMs, known, certified = 'all' }: UsersOptions,
): FeatureStatement {
  const ids = textArray(userIds);
  return {
    text: usersSql(version),
    values: [ids, certified === 'all' ? ids : textArray([]), known.history, known.revision],
    timeoutMs,
  };
}

function usersRead(
  version: ModelVersion,
  { rows, oids, head, refused }: Read,
  userIds: readonly string[],
  { known, certified = 'all', onOverlay }: UsersOptions,
): UsersRead {
  const row = JSON.parse(head[2] ?? '[]') as CertificateRow;
  const arms = armsOf(row, known);
  const decoded = decodeBatch(version, rows, oids, { history: row[0], readAt: row[1] }, { onOverlay, refused });
  const batch = withRequestDefaults(version, decoded);
  const asked = { userIds, predictors: userIds.map(() => version.predictor) };
  const whole = certificateOf(row, arms, asked);
  return { batch, oids, certificate: certified === 'all' ? whole : certifiedByRows(whole, version, rows, arms), arms };
}

/** Reads in the packed form with one V1 statement, which suffices if arms and types are unchanged. */
async function readPacked(
  pool: pg.Pool,
  version: ModelVersion,
  userIds: readonly string[],
  { timeoutMs, known }: UsersOptions,
  { oids, text }: Packing,
): Promise<CertifiedFeatures | 'other arms' | 'other types'> {
  const name = `tandem-packed-${version.id}`;
  const statement = { name, text, values: [textArray(userIds)], timeoutMs };
  const found = await select(pool, version, statement, PACKED_FORM).catch((error: unknown) => {
    // Postgres has no binary form of a column's new type.
    if (sqlState(error) !== '42883') throw error;
  });
  if (!found) return 'other types';
  const { rows, head, refused } = found;
  assertProtocol(Number(head.at(-1)));
  const [revision, history, readAt] = [Number(head[1]), head[2] ?? '', Number(head[3])];
  if (history !== known.history || revision !== known.revision) return 'other arms';
  const batch = unpackRows(version, rows, oids, { history, readAt }, refused);
  if (!batch) return 'other types';
  const whole = certificateOf([history, readAt, revision, null, null, PROTOCOL], known, {
    userIds,
    predictors: [version.predictor],
  });
  return { batch: withRequestDefaults(version, batch), certificate: certifiedByRows(whole, version, rows, known) };
}

type FeatureStatement = Omit<LimitedStatement, 'rowMode' | 'types' | 'onRow'>;

async function select(pool: pg.Pool, version: ModelVersion, statement: FeatureStatement, form: RowForm): Promise<Read> {
  const run = async (asked: FeatureStatement) => {
    const { onRow, refused } = boundRows(version.query, form);
    return readOf(await readOnce<TextRow>(pool, { ...asked, ...ROWS_AS_TEXT, onRow }), refused);
  };
  return (
    run(statement)
      // The query's types changed after it was prepared. An unnamed statement is planned again.
      .catch((error: unknown) => {
        if (sqlState(error) !== '0A000') throw error;
        const { name: _name, ...unnamed } = statement;
        return run(unnamed);
      })
      .catch(rethrow(version))
  );
}

/** Certifies users by their own rows. These are as true as a separate certificate, and save a lookup. */
function certifiedByRows(
  whole: Certificate,
  { predictor }: ModelVersion,
  rows: readonly RawRow[],
  { pending }: KnownArms,
): Certificate {
  const states = new Map<string, UserState>();
  const isPending = pending.has(predictor);
  for (const row of rows) {
    const at = row.length - TRAILING_COLUMNS;
    const [version, deletedVersion, touched] = [Number(row[1] ?? 0), Number(row[at] ?? 0), Number(row[at + 1] ?? 0)];
    states.set(row[0] ?? '', stateOf({ version, deletedVersion, touched }, isPending));
  }
  const none = (userId: string) => whole.user(userId, predictor);
  return { ...whole, user: (userId, asked) => (asked === predictor ? states.get(userId) : undefined) ?? none(userId) };
}

interface Read {
  readonly rows: readonly RawRow[];
  readonly oids: readonly number[];
  /** The last row, which has no user. */
  readonly head: RawRow;
  readonly refused: RefusedRows;
}

type TextRow = (string | null)[];

/** Values stay as Postgres' text, since the decoder knows their types better than the driver. */
const ROWS_AS_TEXT = { rowMode: 'array', types: { getTypeParser: () => (text: string) => text } } as const;

function readOf(result: pg.QueryArrayResult<TextRow>, refused: RefusedRows): Read {
  const rows: RawRow[] = [];
  let head: RawRow = [];
  for (const row of result.rows) {
    if (row[0] === null) head = row;
    else rows.push(row);
  }
  const oids = result.fields.slice(LEADING_COLUMNS, -TRAILING_COLUMNS).map((field) => field.dataTypeID);
  return { rows, oids, head, refused };
}

/** Returns a handler that rethrows the error of a failed query with the predictor added. */
function rethrow({ predictor }: ModelVersion) {
  return (error: unknown): never => {
    const fault = queryFault(error);
    throw fault instanceof FeatureQueryFailed ? new FeatureQueryFailed(fault.fault, predictor) : translated(error);
  };
}
