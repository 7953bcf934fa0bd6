/**
 * The authority on freshness: one small statement on the primary for all the reads of a moment. It is the hottest path
 * of the service, and the one that everything else waits for, so it has connections of its own, in a pool of its own
 * that no other statement can exhaust, prepared once, and a strict time limit: a Postgres that stops answering costs a
 * read `timeoutMs`, and each statement its connection.
 */
import {
  type Authority,
  type Certificate,
  createTombstoneMemory,
  isOvertaken,
  type TombstoneMemory,
} from '@tandem/freshness/certificate';
import { createStatementBatcher } from '@tandem/freshness/statement-line';
import { within } from '@tandem/timing/within';
import type pg from 'pg';
import { createPool, isConnectionFailure, lifetimeMs, tooLate, translated } from '../sql/database.ts';
import {
  type AskedUsers,
  AUTHORITY_SQL,
  type AuthorityRow,
  armsOf,
  certificateOf,
  type KnownArms,
  NO_ARMS,
  textArray,
  tombstonesOf,
} from './certificate-statement.ts';

export interface AuthorityOptions {
  /** Milliseconds after which a question is rejected. */
  readonly timeoutMs?: number;
  /** Statements under way at once; each has a connection of its own. */
  readonly maxStatements?: number;
  /** What pg_stat_activity shows, where the pool is our own. */
  readonly applicationName?: string;
  /** Looks at the database through each connection before its first statement; where this rejects there is none. */
  onConnect?(client: pg.PoolClient): Promise<void>;
  /** Told of each statement, whose reads need not be timed one by one. */
  onStatement?(seconds: number, outcome: 'ok' | 'failed'): void;
  /** Told of the registry's revision, and of which history it is, as each statement found it. */
  onRevision?(revision: number, history: string): void;
  /** Told of each statement that was answered: the database's history, and how many users shared it. */
  onCertificate?(history: string, users: number): void;
  /** Told once in a history, where there is no room for more tombstones: from the next erasure on nothing is served unverified. */
  onTombstonesFull?(count: number): void;
}

/** Users in one statement at most. */
const MAX_USERS = 5_000;
/** What the reads of a moment wait for each other at most. A statement mostly takes a third of it. */
const PATIENCE_MS = 1;

const STATEMENT = { name: 'tandem-certificate', text: AUTHORITY_SQL };

/** What its statements have told, both of one history. */
interface Known {
  readonly arms: KnownArms;
  readonly tombstones: TombstoneMemory;
}

/**
 * `certify` rejects with `unavailable` where Postgres does not answer in time, is a standby, or cannot be reached.
 * `close` gives the connections up; the end of a pool that was given waits for that.
 * @param database a postgres:// URL, or a pool with connections to spare: `maxStatements` and as many to replace them
 */
export function createAuthority(
  database: string | pg.Pool,
  options: AuthorityOptions = {},
): Authority & { close(): Promise<void> } {
  const { timeoutMs = 250, maxStatements = 2, applicationName = 'tandem-authority' } = options;
  const { onStatement, onRevision, onCertificate, onConnect, onTombstonesFull } = options;
  // One that is broken may still hold its place while its successor is opened.
  const isOwn = typeof database === 'string';
  const pool = isOwn ? createPool({ url: database, max: 2 * maxStatements, applicationName }) : database;
  const prepare = async (client: pg.PoolClient) => {
    await onConnect?.(client);
    await prepareLane(client);
  };
  const lanes = new Lanes(pool, { count: maxStatements, prepare });
  let known: Known = {
    arms: NO_ARMS,
    tombstones: createTombstoneMemory(NO_ARMS.history, { onFull: onTombstonesFull }),
  };

  const ask = createStatementBatcher<AskedUsers, Certificate>({
    async send(questions) {
      const asked = joined(questions);
      // What this statement is told is known, whatever another learns meanwhile: a null answer refers to it.
      const told = known;
      const startedAt = performance.now();
      const answered = certificateRow(lanes, timeoutMs, [
        ...[textArray(asked.userIds), ...knownOf(told), textArray(asked.predictors)],
      ]);
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

/** Each user once for each predictor. */
export function askedOf(userIds: readonly string[], predictors: readonly string[]): AskedUsers {
  return {
    userIds: predictors.length === 1 ? userIds : predictors.flatMap(() => userIds),
    predictors: predictors.flatMap((predictor) => userIds.map(() => predictor)),
  };
}

function joined(questions: readonly AskedUsers[]): AskedUsers {
  const [first] = questions;
  if (first && questions.length === 1) return first;
  return {
    userIds: questions.flatMap(({ userIds }) => userIds),
    predictors: questions.flatMap(({ predictors }) => predictors),
  };
}

/** The parameters after the users: what is known already. */
function knownOf({ arms, tombstones }: Known): readonly unknown[] {
  return [arms.history, arms.revision, tombstones.isFull ? null : tombstones.count];
}

async function certificateRow(lanes: Lanes, timeoutMs: number, values: unknown[]): Promise<AuthorityRow> {
  try {
    const { rows } = await lanes.run(timeoutMs, (client) =>
      client.query<[...AuthorityRow]>({ ...STATEMENT, values, rowMode: 'array' } as pg.QueryArrayConfig),
    );
    if (!rows[0]) throw new Error('tandem.settings has lost its row');
    return rows[0];
  } catch (error) {
    throw translated(error);
  }
}

async function prepareLane(client: pg.PoolClient): Promise<void> {
  // The plan must not depend on how small the table was when it was made: a scan of all contexts is never right.
  await client.query('set enable_seqscan = off; set plan_cache_mode = force_generic_plan');
}

// A few connections kept out of a pool for one kind of statement with a strict time limit. Each carries one statement at
// a time; one that does not answer in time is closed, statement and all, so that a stopped server holds nothing of ours.
// A connection that broke while it was idle, as by a restart of the server, costs its next statement no failure.

interface LanesOptions {
  readonly count: number;
  /** Runs once on each connection. */
  prepare(client: pg.PoolClient): Promise<void>;
}

/** Waits for work as long as the caller of a lane may. */
type InTime = <T>(work: Promise<T>) => Promise<T>;

class Lanes {
  readonly #pool: pg.Pool;
  readonly #options: LanesOptions;
  readonly #idle: pg.PoolClient[] = [];
  readonly #waiting: PromiseWithResolvers<pg.PoolClient>[] = [];
  readonly #busy = new Set<Promise<unknown>>();
  readonly #endsAt = new WeakMap<pg.PoolClient, number>();
  #opening = 0;
  #isClosed = false;

  constructor(pool: pg.Pool, options: LanesOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  /**
   * Runs a statement on a free connection, opening one where there is none. At most `count` callers at once. Where a
   * connection that was used before turns out to be broken the statement is sent again, once, on a new one: so it must
   * change nothing. Rejects after `timeoutMs`, also while it is still connecting.
   */
  run<T>(timeoutMs: number, statement: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const running = this.#attempt(timeoutMs, statement);
    const settled: Promise<unknown> = running.then(
      () => this.#busy.delete(settled),
      () => this.#busy.delete(settled),
    );
    this.#busy.add(settled);
    return running;
  }

  /** Gives the connections up; whoever is under way ends first. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#releaseIdle();
    await Promise.all(this.#busy);
  }

  async #attempt<T>(timeoutMs: number, statement: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    const late = () => new Error(`Query read timeout: no answer in ${timeoutMs} ms`);
    const inTime: InTime = (work) => within(deadline - performance.now(), work, late);
    const send = async (client: pg.PoolClient): Promise<T> => {
      try {
        const result = await inTime(statement(client));
        this.#keep(client);
        return result;
      } catch (error) {
        client.release(true);
        throw error;
      }
    };
    const kept = this.#idle.pop();
    if (!kept) return send(await this.#take(inTime));
    return send(kept).catch(async (error: unknown) => {
      if (performance.now() >= deadline || !isConnectionFailure(error)) throw error;
      // What broke one connection most likely broke the others.
      this.#releaseIdle();
      return send(await this.#take(inTime));
    });
  }

  /** Connections that are still being opened when their asker gave up serve the next: never more than `count` at once. */
  async #take(inTime: InTime): Promise<pg.PoolClient> {
    const free = this.#idle.pop();
    if (free) return free;
    const mine = Promise.withResolvers<pg.PoolClient>();
    this.#waiting.push(mine);
    if (this.#opening < this.#options.count) void this.#open();
    try {
      return await inTime(mine.promise);
    } catch (error) {
      const at = this.#waiting.indexOf(mine);
      if (at >= 0) this.#waiting.splice(at, 1);
      else
        mine.promise.then(
          (client) => this.#keep(client),
          () => {},
        );
      throw error;
    }
  }

  async #open(): Promise<void> {
    this.#opening++;
    try {
      const client = await this.#pool.connect();
      await this.#options.prepare(client).catch((error: unknown) => {
        client.release(true);
        throw error;
      });
      this.#endsAt.set(client, performance.now() + lifetimeMs());
      this.#keep(client);
    } catch (error) {
      this.#waiting.shift()?.reject(error);
    } finally {
      this.#opening--;
    }
  }

  #keep(client: pg.PoolClient): void {
    const next = this.#waiting.shift();
    if (next) next.resolve(client);
    else if (this.#isClosed) client.release(true);
    else {
      this.#idle.push(client);
      this.#replaceOld();
    }
  }

  /** One that has lived for long ends when its successor is there: no statement waits for that. */
  #replaceOld(): void {
    const now = performance.now();
    const old = this.#idle.findIndex((client) => (this.#endsAt.get(client) ?? 0) < now);
    // What prepare sets stays with the connection, so it never goes back to the pool's other users.
    if (this.#idle.length > this.#options.count) this.#idle.splice(Math.max(0, old), 1)[0]?.release(true);
    if (old >= 0 && this.#opening === 0) void this.#open();
  }

  #releaseIdle(): void {
    for (const client of this.#idle.splice(0)) client.release(true);
  }
}
