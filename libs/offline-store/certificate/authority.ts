/**
 * The authority on freshness: one small statement on the primary for all reads of a moment. It is the hottest path of
 * the service, and all reads wait for it. So it has a separate pool that no other statement can exhaust, is prepared
 * once, and has a strict time limit. If Postgres stops answering, a read loses `timeoutMs`, and the connection of each
 * statement is closed.
 */
import {
  type Authority,
  type Certificate,
  createTombstoneMemory,
  isOvertaken,
  type TombstoneMemory,
} from '@tandem/freshness/certificate';
import { createStatementBatcher } from '@tandem/freshness/statement-line';
import pg from 'pg';
import { createPool, tooLate, translated } from '../sql/database.ts';
import { sendWithoutLimit } from '../sql/driver-connection.ts';
import { AUTHORITY_SQL, type AuthorityRow, KNOWN_ARMS_SQL, tellsArms, tombstonesOf } from './authority-statement.ts';
import { type AskedUsers, armsOf, certificateOf, type KnownArms, NO_ARMS, textArray } from './certificate-statement.ts';
import { Lanes } from './lanes.ts';

export interface AuthorityOptions {
  /** The milliseconds after which a request is rejected. */
  readonly timeoutMs?: number;
  /** The maximum number of concurrent statements; each has a separate connection. */
  readonly maxStatements?: number;
  /** The name in pg_stat_activity, if the authority creates the pool. */
  readonly applicationName?: string;
  /**
   * Checks the database through each new connection before its first statement. If it rejects, the connection is not
   * used.
   */
  onConnect?(client: pg.PoolClient): Promise<void>;
  /** Receives the duration of each statement. */
  onStatement?(seconds: number, outcome: 'ok' | 'failed'): void;
  /** Receives the registry's revision and the history that each statement returned. */
  onRevision?(revision: number, history: string): void;
  /** Receives for each answered statement the database's history, and the number of users in the statement. */
  onCertificate?(history: string, users: number): void;
  /**
   * Called once in a history, when there is no room for more tombstones. From the next erasure on, no read is served
   * unverified.
   */
  onTombstonesFull?(count: number): void;
}

/** The maximum number of users in one statement. Its certificates take a few ms, even with cold contexts. */
const MAX_USERS = 500;
/** The number of users from which a read counts as large, so that reads of few users do not wait for it. */
const LARGE_FROM = 50;
/** The longest time that reads wait for each other. A statement usually takes a third of it. */
const PATIENCE_MS = 1;

const STATEMENT = { name: 'tandem-certificate', text: AUTHORITY_SQL };
const KNOWN_ARMS_STATEMENT = { name: 'tandem-certificate-known-arms', text: KNOWN_ARMS_SQL };

/** The arms and tombstones that the last statements returned, both of one history. */
interface Known {
  readonly arms: KnownArms;
  readonly tombstones: TombstoneMemory;
}

/**
 * Creates the authority. `certify` rejects with `unavailable` if Postgres does not answer in time, is a standby, or
 * cannot be reached. `close` releases the connections; end a pool that you passed after that.
 * @param database a postgres:// URL, or a pool with `maxStatements` spare connections, and as many to replace them
 */
export function createAuthority(
  database: string | pg.Pool,
  options: AuthorityOptions = {},
): Authority & { close(): Promise<void> } {
  const { timeoutMs = 250, maxStatements = 2, applicationName = 'tandem-authority' } = options;
  const { onStatement, onRevision, onCertificate, onConnect, onTombstonesFull } = options;
  // A broken connection may still occupy its place while its successor is opened.
  const isOwn = typeof database === 'string';
  const pool = isOwn ? createPool({ url: database, max: 2 * maxStatements, applicationName }) : database;
  const prepare = async (client: pg.PoolClient) => {
    await onConnect?.(client);
    // The plan must not depend on the table's size when it was made: a scan of all contexts is never right.
    await client.query('set enable_seqscan = off; set plan_cache_mode = force_generic_plan');
  };
  const lanes = new Lanes(pool, { count: maxStatements, prepare });
  let known: Known = {
    arms: NO_ARMS,
    tombstones: createTombstoneMemory(NO_ARMS.history, { onFull: onTombstonesFull }),
  };

  const ask = createStatementBatcher<AskedUsers, Certificate>({
    async send(questions) {
      const asked = joined(questions);
      // An answer of null means that the facts sent with this statement still apply, even if another statement returned
      // newer facts meanwhile.
      const told = known;
      const startedAt = performance.now();
      const values: Values = [textArray(asked.userIds), ...knownOf(told), textArray(asked.predictors)];
      const answered = certificateRow(lanes, timeoutMs, values);
      const row = await answered.catch((error: unknown) => {
        onStatement?.((performance.now() - startedAt) / 1000, 'failed');
        throw error;
      });
      onStatement?.((performance.now() - startedAt) / 1000, 'ok');
      const arms = armsOf(row, told.arms);
      const tombstones = tombstonesOf(row, told.tombstones);
      const certificate = certificateOf(row, arms, asked, tombstones);
      if (!isOvertaken(certificate, told.arms, known.arms)) {
        if (arms !== told.arms || tombstones !== told.tombstones) known = { arms, tombstones };
        onRevision?.(certificate.revision, certificate.history);
      }
      onCertificate?.(certificate.history, asked.userIds.length);
      return certificate;
    },
    maxInFlight: maxStatements,
    maxWeight: MAX_USERS,
    largeFrom: LARGE_FROM,
    weigh: ({ userIds }) => userIds.length,
    patienceMs: PATIENCE_MS,
    limit: { ms: timeoutMs, tooLate: () => tooLate(timeoutMs) },
  });

  return {
    certify: (userIds, ...predictors) => ask(askedOf(userIds, predictors)),
    async close() {
      await lanes.close();
      if (isOwn) await pool.end();
    },
  };
}

/** Returns each user once per predictor. */
export function askedOf(userIds: readonly string[], predictors: readonly string[]): AskedUsers {
  // The usual read: one user of one predictor.
  if (userIds.length === 1 && predictors.length === 1) return { userIds, predictors };
  return {
    userIds: predictors.length === 1 ? userIds : predictors.flatMap(() => userIds),
    predictors: predictors.flatMap((predictor) => userIds.map(() => predictor)),
  };
}

function joined(questions: readonly AskedUsers[]): AskedUsers {
  const [first] = questions;
  if (first && questions.length === 1) return first;
  // flatMap took 2 % of the CPU of an embedded read.
  const userIds: string[] = [];
  const predictors: string[] = [];
  for (const question of questions) {
    userIds.push(...question.userIds);
    predictors.push(...question.predictors);
  }
  return { userIds, predictors };
}

/** Returns the parameters after the users: revision, history and erasures that the caller knows. */
function knownOf({ arms, tombstones }: Known): [history: string, revision: number, erasures: number | null] {
  return [arms.history, arms.revision, tombstones.isFull ? null : tombstones.count];
}

/** Requests the certificate. If the arms have changed, sends one more statement that returns them. */
async function certificateRow(lanes: Lanes, timeoutMs: number, values: Values): Promise<AuthorityRow> {
  const knowsArms = values[1] !== NO_ARMS.history;
  try {
    return await lanes.run(timeoutMs, async (client) => {
      const row = knowsArms && (await rowOf(client, KNOWN_ARMS_STATEMENT, values));
      return row && tellsArms(row) ? row : rowOf(client, STATEMENT, values);
    });
  } catch (error) {
    throw translated(error);
  }
}

type Values = [userIds: string, history: string, revision: number, erasures: number | null, predictors: string];

async function rowOf(client: pg.PoolClient, statement: typeof STATEMENT, values: Values): Promise<AuthorityRow> {
  const { promise, resolve, reject } = Promise.withResolvers<pg.QueryArrayResult<[...AuthorityRow]>>();
  const done = (error: Error | undefined, result: typeof promise extends Promise<infer R> ? R : never) =>
    error ? reject(error) : resolve(result);
  sendWithoutLimit(client, new pg.Query({ ...statement, values, rowMode: 'array' } as pg.QueryArrayConfig, done));
  const { rows } = await promise;
  if (!rows[0]) throw new Error('tandem.settings has lost its row');
  return rows[0];
}
