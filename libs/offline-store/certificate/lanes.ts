/**
 * A few connections kept out of a pool for one kind of statement with a strict time limit. Each carries one statement at
 * a time; one that does not answer in time is closed, statement and all, so that a stopped server holds nothing of ours.
 * A connection that broke while it was idle, as by a restart of the server, costs its next statement no failure.
 */
import type pg from 'pg';
import { isConnectionFailure } from '../sql/database.ts';

export interface LanesOptions {
  readonly count: number;
  /** Runs once on each connection. */
  prepare?(client: pg.PoolClient): Promise<void>;
}

export interface Lanes {
  /**
   * Runs a statement on a free connection, opening one where there is none. At most `count` callers at once. Where a
   * connection that was used before turns out to be broken the statement is sent again, once, on a new one: so it must
   * change nothing. Rejects after `timeoutMs`, also while it is still connecting.
   */
  run<T>(timeoutMs: number, statement: (client: pg.PoolClient) => Promise<T>): Promise<T>;
  /** Gives the connections up; whoever is under way ends first. */
  close(): Promise<void>;
}

export function createLanes(pool: pg.Pool, { count, prepare }: LanesOptions): Lanes {
  const idle: pg.PoolClient[] = [];
  const waiting: PromiseWithResolvers<pg.PoolClient>[] = [];
  const busy = new Set<Promise<unknown>>();
  let opening = 0;
  let closed = false;

  async function open(): Promise<void> {
    opening++;
    try {
      const client = await pool.connect();
      await prepare?.(client).catch((error: unknown) => {
        client.release(true);
        throw error;
      });
      keep(client);
    } catch (error) {
      waiting.shift()?.reject(error);
    } finally {
      opening--;
    }
  }

  function keep(client: pg.PoolClient): void {
    const next = waiting.shift();
    if (next) next.resolve(client);
    // What prepare sets stays with the connection, so it never goes back to the pool's other users.
    else if (closed || idle.length >= count) client.release(true);
    else idle.push(client);
  }

  /** Connections that are still being opened when their asker gave up serve the next: never more than `count` at once. */
  async function take(late: Promise<never>): Promise<pg.PoolClient> {
    const free = idle.pop();
    if (free) return free;
    const mine = Promise.withResolvers<pg.PoolClient>();
    waiting.push(mine);
    if (opening < count) void open();
    try {
      return await Promise.race([mine.promise, late]);
    } catch (error) {
      const at = waiting.indexOf(mine);
      if (at >= 0) waiting.splice(at, 1);
      else mine.promise.then(keep, () => {});
      throw error;
    }
  }

  async function attempt<T>(timeoutMs: number, statement: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const deadline = performance.now() + timeoutMs;
    late.catch(() => {});
    const timer = setTimeout(() => reject(new Error(`Query read timeout: no answer in ${timeoutMs} ms`)), timeoutMs);
    const send = async (client: pg.PoolClient): Promise<T> => {
      try {
        const result = await Promise.race([statement(client), late]);
        keep(client);
        return result;
      } catch (error) {
        client.release(true);
        throw error;
      }
    };
    try {
      const kept = idle.pop();
      if (!kept) return await send(await take(late));
      return await send(kept).catch(async (error: unknown) => {
        if (performance.now() >= deadline || !isConnectionFailure(error)) throw error;
        // What broke one connection most likely broke the others.
        for (const other of idle.splice(0)) other.release(true);
        return send(await take(late));
      });
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    run(timeoutMs, statement) {
      const running = attempt(timeoutMs, statement);
      const settled: Promise<unknown> = running.then(
        () => busy.delete(settled),
        () => busy.delete(settled),
      );
      busy.add(settled);
      return running;
    },
    async close() {
      closed = true;
      for (const client of idle.splice(0)) client.release(true);
      await Promise.all(busy);
    },
  };
}
