/**
 * Faults of many concurrent callers of one user: readers of a user who has just changed, and transactions that
 * deadlock.
 */
import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { COUNT, type Pool } from '../../../e2e/counts.fixture.ts';
import type { Stage } from '../rig/session.ts';
import type { SupervisedProgram } from '../rig/supervised-program.ts';
import { type NamedFault, NotMet } from './fault.ts';

/** Readers at each API. */
const READERS = 200;
const HERDS = 3;
const CROSSED_MS = 10_000;
const SOURCE = 'crowd';
/** Users that the load reads occasionally and does not change. */
const READ_ALONE = '1900';
const CROSSED = ['1901', '1902'] as const;

export const crowdedUsers: readonly NamedFault[] = [
  {
    name: 'herd',
    what: `${READERS} readers at each API read one user at once, right after the user changed, ${HERDS} times`,
    expected: 'one inference an API, which all its readers share; no answer from before the change is called fresh',
    run: herd,
  },
  {
    name: 'events-crosswise',
    what: `for ${CROSSED_MS / 1_000} s two applications insert events of two users in opposite order, and HTTP batches name both users`,
    expected:
      'Postgres aborts one of two deadlocked transactions; each transaction and batch is stored whole or not at all',
    run: cross,
  },
];

interface Seen {
  readonly status: number;
  readonly source?: string;
  readonly reason?: string;
  readonly computedAt?: string;
  readonly predictedFromContextVersion?: number;
}

async function herd({ rig, fault }: Stage): Promise<void> {
  const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY });
  let inferred = 0;
  try {
    for (let no = 0; no < HERDS; no++) {
      await fault(
        { name: `${READERS} readers of one user` },
        {
          async inject() {
            const version = await changeAndSay(rig.pool, READ_ALONE);
            const all = await Promise.all(rig.apis.flatMap((api) => readers(agent, api)));
            inferred += judgeHerd(all, version, rig.apis.length);
          },
          lift: async () => {},
        },
      );
      await pause(1_000);
    }
  } finally {
    agent.destroy();
  }
  if (inferred === 0) throw new NotMet('no inference ended in time: the machine is too busy for so many readers');
}

function readers(agent: Agent, { url }: SupervisedProgram): readonly Promise<Seen>[] {
  return Array.from({ length: READERS }, () => read(agent, `${url}/v1/predictions/${COUNT}/${READ_ALONE}`));
}

function read(agent: Agent, url: string): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => resolve({ ...(JSON.parse(text) as object), status: response.statusCode ?? 0 }));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}

/**
 * Checks the answers of a herd, and returns how many readers were answered by an inference, their own or a shared one.
 * One further inference is allowed, because another reader may demand one. An API may also find an answer that the
 * other stored.
 */
function judgeHerd(all: readonly Seen[], version: number, apis: number): number {
  const good = all.filter(({ status }) => status === 200);
  const refused = all.filter(({ status }) => status === 503);
  if (good.length + refused.length !== all.length) throw new Error('a reader was answered with neither 200 nor 503');
  const inferred = good.filter(({ source }) => source === 'live' || source === 'batch');
  const old = inferred.filter(({ predictedFromContextVersion: label }) => (label ?? -1) < version);
  if (old.length > 0) throw new Error(`older than ${version}, and not said to be: ${JSON.stringify(old[0])}`);
  const inferences = new Set(inferred.map(({ computedAt }) => computedAt)).size;
  if (inferences > apis + 1) throw new Error(`${inferences} inferences for ${all.length} readers of ${apis} APIs`);
  return inferred.length;
}

/** Changes the user and inserts the event in one transaction, as an application does. Returns the context version. */
async function changeAndSay(pool: Pool, userId: string): Promise<number> {
  const { rows } = await pool.query<{ version: number }>({
    text: `with changed as (
        update counts set changes = changes + 1 where user_id = ($1::text)::bigint
      ), said as (
        insert into tandem.events (source, id, type, user_id)
          values ($2::text, gen_random_uuid()::text, 'changed', $1::text)
      ) select coalesce((select version from tandem.user_contexts where user_id = $1::text), 0)::int + 1 as version`,
    values: [userId, SOURCE],
  });
  return rows[0]?.version ?? 0;
}

interface Crossing {
  readonly pool: Pool;
  readonly apis: readonly SupervisedProgram[];
  isOver(): boolean;
}

async function cross({ rig, fault }: Stage): Promise<void> {
  let isOver = false;
  const crossing: Crossing = { pool: rig.pool, apis: rig.apis, isOver: () => isOver };
  let working: Promise<readonly number[]> = Promise.resolve([]);
  await fault(
    { name: 'events crosswise' },
    {
      async inject() {
        const [one, other] = CROSSED;
        working = Promise.all([insertMany(crossing, [one, other]), insertMany(crossing, [other, one]), post(crossing)]);
        working.catch(() => {});
      },
      hold: () => pause(CROSSED_MS),
      async lift() {
        isOver = true;
        await working;
      },
    },
  );
  const [ended = 0, endedToo = 0] = await working;
  if (ended + endedToo === 0) throw new Error('no two transactions met');
  await expectAllOrNothing(rig.pool);
}

/** Inserts events until the fault is over. Returns how many transactions Postgres aborted as deadlocked. */
async function insertMany({ pool, isOver }: Crossing, userIds: readonly string[]): Promise<number> {
  let ended = 0;
  const client = await pool.connect();
  try {
    while (!isOver()) {
      await changeBoth(pool);
      await client.query('begin');
      try {
        for (const userId of userIds) await insertOne(client, userId);
        await client.query('commit');
      } catch (error) {
        if ((error as { readonly code?: unknown }).code !== '40P01') throw error;
        ended++;
        await client.query('rollback');
      }
    }
  } finally {
    client.release(true);
  }
  return ended;
}

/** Changes both users before the events, in a separate transaction: a label is never above a count, and only events deadlock. */
async function changeBoth(pool: Pool): Promise<void> {
  await pool.query({
    text: 'update counts set changes = changes + 1 where user_id = any ($1::bigint[])',
    values: [CROSSED],
  });
}

/** Inserts one event of a transaction. The ids of both its events have the same prefix. */
async function insertOne(client: Pick<Pool, 'query'>, userId: string): Promise<void> {
  await client.query({
    text: `insert into tandem.events (source, id, type, user_id)
      values ($1::text, pg_current_xact_id()::text || '/' || $2::text, 'crossed', $2::text)`,
    values: [SOURCE, userId],
  });
}

async function post({ pool, apis, isOver }: Crossing): Promise<number> {
  const headers = { 'content-type': 'application/cloudevents-batch+json' };
  for (let no = 0; !isOver(); no++) {
    const id = crypto.randomUUID();
    await changeBoth(pool);
    const events = CROSSED.map((subject) => ({
      ...{ specversion: '1.0', source: SOURCE, type: 'crossed', subject },
      id: `${id}/${subject}`,
    }));
    const answer = await fetch(`${apis[no % apis.length]?.url}/v1/events`, {
      ...{ method: 'POST', headers },
      body: JSON.stringify(events),
    });
    if (answer.status !== 202 && answer.status !== 503) throw new Error(`a batch was answered with ${answer.status}`);
    await answer.arrayBuffer();
  }
  return 0;
}

async function expectAllOrNothing(pool: Pool): Promise<void> {
  const { rows } = await pool.query({
    text: `select split_part(id, '/', 1) as one, count(*)::int as events from tandem.event_ids
      where source = $1 and id like '%/%' group by 1 having count(*) <> 2 limit 5`,
    values: [SOURCE],
  });
  if (rows.length > 0) throw new Error(`halves of transactions were left: ${JSON.stringify(rows)}`);
}
