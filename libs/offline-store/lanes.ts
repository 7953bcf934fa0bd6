/**
 * A few connections kept out of a pool for one kind of statement with a strict time limit. Each carries one statement at
 * a time; one that does not answer in time is closed, statement and all, so that a stopped server holds nothing of ours.
 */
import type pg from 'pg';

export interface LanesOptions {
  readonly count: number;
  /** Runs once on each connection. */
  prepare?(client: pg.PoolClient): Promise<void>;
}

export interface Lanes {
  /**
   * Runs a statement on a free connection, opening one where there is none. At most `count` callers at once.
   * Rejects after `timeoutMs`, also while it is still connecting.
   */
  run<T>(timeoutMs: number, statement: (client: pg.PoolClient) => Promise<T>): Promise<T>;
  /** Gives the connections up; whoever is under way ends first. */
  close(): Promise<void>;
}

export function createLanes(pool: pg.Pool, { count, prepare }: LanesOptions): Lanes {
  const idle: pg.PoolClient[] = [];
  const busy = new Set<Promise<unknown>>();
  let closed = false;

  async function open(): Promise<pg.PoolClient> {
    const client = await pool.connect();
    // What prepare sets stays with the connection, so it never goes back to the pool's other users.
    client.on('error', () => {});
    try {
      await prepare?.(client);
      return client;
    } catch (error) {
      client.release(true);
      throw error;
    }
  }

  function keep(client: pg.PoolClient): void {
    if (closed || idle.length >= count) client.release(true);
    else idle.push(client);
  }

  async function attempt<T>(timeoutMs: number, statement: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new Error(`Query read timeout: no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      const client = idle.pop() ?? (await openOr(late));
      try {
        const result = await Promise.race([statement(client), late]);
        keep(client);
        return result;
      } catch (error) {
        client.release(true);
        throw error;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** A connection that comes too late serves the next statement. */
  async function openOr(late: Promise<never>): Promise<pg.PoolClient> {
    const opening = open();
    try {
      return await Promise.race([opening, late]);
    } catch (error) {
      opening.then(keep, () => {});
      throw error;
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
