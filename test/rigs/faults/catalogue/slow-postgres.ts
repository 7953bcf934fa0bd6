/** Faults in which Postgres runs, but is locked, gets no CPU, or has no free connection. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { Rig } from '../rig/rig.ts';
import type { Stage } from '../rig/session.ts';
import type { NamedFault } from './fault.ts';

const HELD_MS = 8_000;
/** The time in each 50 ms for which the backends of the connections are stopped. */
const STARVED_MS = 45;
const ROUND_MS = 50;
/** Connections that the service may have opened since the last look. */
const FEW = 3;

export const slowPostgres: readonly NamedFault[] = [
  {
    name: 'user-row-locked',
    what: `one user's context is locked for ${HELD_MS / 1_000} s by a transaction that stays open`,
    expected: 'events of that user are refused, or wait within their deadline; reads and other users are not affected',
    run: lockUser,
  },
  {
    name: 'postgres-starved',
    what: `all of the service's connections get a tenth of the time for ${HELD_MS / 1_000} s (SIGSTOP and SIGCONT)`,
    expected: 'reads that Postgres cannot certify in time are unverified or refused',
    run: starve,
  },
  {
    name: 'connections-hogged',
    what: `idle transactions take all connections of Postgres for ${HELD_MS / 1_000} s; each connection that the service gets is ended`,
    expected: 'refusals within the deadline; the pools reconnect afterwards',
    run: hog,
  },
];

async function lockUser({ rig, fault, random }: Stage): Promise<void> {
  const userId = String(1 + Math.floor(random() * 100));
  const client = await rig.pool.connect();
  try {
    await fault(
      { name: 'a user locked' },
      {
        async inject() {
          await client.query('begin');
          await client.query({
            text: `insert into tandem.user_contexts (user_id, version) values ($1, 0) on conflict do nothing`,
            values: [userId],
          });
          await client.query({
            text: 'select from tandem.user_contexts where user_id = $1 for update',
            values: [userId],
          });
        },
        hold: () => pause(HELD_MS),
        lift: async () => void (await client.query('rollback')),
      },
    );
  } finally {
    client.release();
  }
}

async function starve({ rig, fault }: Stage): Promise<void> {
  let pids: readonly number[] = [];
  const send = (signal: NodeJS.Signals) => {
    for (const pid of pids) signalBackend(pid, signal);
  };
  await fault(
    { name: 'Postgres starved' },
    {
      async inject() {
        pids = await backendsOf(rig.pool);
      },
      async hold() {
        const until = performance.now() + HELD_MS;
        while (performance.now() < until) {
          send('SIGSTOP');
          await pause(STARVED_MS);
          send('SIGCONT');
          await pause(ROUND_MS - STARVED_MS);
        }
      },
      lift: async () => send('SIGCONT'),
    },
  );
}

function signalBackend(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // Its connection has ended.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function backendsOf(db: Pick<Rig['pool'], 'query'>): Promise<readonly number[]> {
  const { rows } = await db.query<{ pid: number }>(SERVICE);
  return rows.map(({ pid }) => pid);
}

const SERVICE = `select pid from pg_stat_activity where backend_type = 'client backend' and application_name like 'tandem-%'`;

async function hog({ rig, fault }: Stage): Promise<void> {
  const hogs: pg.Client[] = [];
  // Opened first, because the rig's pool gets no connection once all are taken.
  const own = await rig.pool.connect();
  try {
    await fault(
      { name: 'connections hogged' },
      {
        inject: () => takeAll(rig, hogs),
        async hold() {
          const until = performance.now() + HELD_MS;
          for (; performance.now() < until; await pause(20)) {
            await own.query(`select pg_terminate_backend(pid) from (${SERVICE}) service`);
            await takeAll(rig, hogs);
          }
          const left = await backendsOf(own);
          if (left.length > FEW) throw new Error(`the service still had ${left.length} connections`);
        },
        async lift() {
          await Promise.all(hogs.map((one) => one.end()));
        },
      },
    );
  } finally {
    own.release();
  }
}

/** Takes connections until none is left. */
async function takeAll({ postgres }: Rig, hogs: pg.Client[]): Promise<void> {
  for (;;) {
    const client = new pg.Client({ connectionString: postgres.url, application_name: 'hog' });
    client.on('error', () => {});
    try {
      await client.connect();
      hogs.push(client);
      await client.query('begin');
    } catch {
      return;
    }
  }
}
