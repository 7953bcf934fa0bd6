/**
 * A few connections kept out of a pool for one kind of statement with a strict time limit. Each carries one statement
 * at a time. A connection that does not answer in time is closed, which also ends its statement, so that a stopped
 * server occupies no resources of this process. If a connection broke while idle, for example by a restart of the
 * server, its next statement is repeated on a new connection.
 */
import { within } from '@tandem/timing/within';
import type pg from 'pg';
import { isConnectionFailure, lifetimeMs } from '../sql/database.ts';

interface LanesOptions {
  readonly count: number;
  /** Prepares each new connection. */
  prepare(client: pg.PoolClient): Promise<void>;
}

/** Waits for work, but no longer than the caller of a lane may wait. */
type InTime = <T>(work: Promise<T>) => Promise<T>;

export class Lanes {
  readonly #pool: pg.Pool;
  readonly #options: LanesOptions;
  readonly #idle: pg.PoolClient[] = [];
  readonly #waiting: PromiseWithResolvers<pg.PoolClient>[] = [];
  // An array, not a Set, as in statement-line.ts.
  readonly #busy: Promise<unknown>[] = [];
  readonly #endsAt = new WeakMap<pg.PoolClient, number>();
  #opening = 0;
  #isClosed = false;

  constructor(pool: pg.Pool, options: LanesOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  /**
   * Runs a statement on a free connection, or opens a connection if there is none. At most `count` callers may run at
   * once. If a used connection is broken, the statement is sent again on a new one, so it must change nothing. Rejects
   * after `timeoutMs`, even while still connecting.
   */
  run<T>(timeoutMs: number, statement: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const running = this.#attempt(timeoutMs, statement);
    const end = () => this.#busy.splice(this.#busy.indexOf(settled), 1);
    const settled: Promise<unknown> = running.then(end, end);
    this.#busy.push(settled);
    return running;
  }

  /** Closes the connections after their current statements have ended. */
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
      // The cause that broke one connection most likely broke the others, too.
      this.#releaseIdle();
      return send(await this.#take(inTime));
    });
  }

  /**
   * Returns a free connection, or waits for one. If the caller gives up, the next caller gets the connection that is
   * being opened. There are never more than `count` connections.
   */
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

  /** Replaces an old connection. It is closed only when its successor is open, so that no statement waits. */
  #replaceOld(): void {
    const now = performance.now();
    const old = this.#idle.findIndex((client) => (this.#endsAt.get(client) ?? 0) < now);
    // The connection keeps the settings of `prepare`, so it is never returned to the pool's other users.
    if (this.#idle.length > this.#options.count) this.#idle.splice(Math.max(0, old), 1)[0]?.release(true);
    if (old >= 0 && this.#opening === 0) void this.#open();
  }

  #releaseIdle(): void {
    for (const client of this.#idle.splice(0)) client.release(true);
  }
}
