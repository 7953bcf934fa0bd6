/** Checks a real database after a real load over SQL: it passes unchanged, and each manipulation is found. */

import { createRandom } from '@tandem/experiment/distributions/random';
import { createPool } from '@tandem/offline-store/sql/database';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { adoptCounts, type Pool } from '../../../e2e/counts.fixture.ts';
import type { Operation, SqlEvents } from '../history.ts';
import { createDice, createRecentEvents } from '../load/load-parts.ts';
import { SQL_SOURCE, startSqlWriter } from '../load/sql-writers.ts';
import { checkRuns } from './check-runs.ts';
import { checkStores, type Queryable } from './check-stores.ts';
import { createChecker } from './checker.ts';
import { read } from './written-history.fixture.ts';

const USERS = 20;
const TRANSACTIONS = 60;
const stores = { sources: [SQL_SOURCE], changesSql: 'select user_id::text, changes from counts' };

let database: TestDatabase;
let pool: Pool;
let history: readonly Operation[];
/** The last committed transaction, with at least one event. */
let last: SqlEvents;

beforeAll(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, max: 6, applicationName: 'checker-test' });
  await adoptCounts(pool, { users: USERS });
  history = await writeEvents();
  last = history.findLast((one): one is SqlEvents => one.kind === 'sql event' && one.isCommitted) as SqlEvents;
});
afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

/** Runs three writers at once, as a load does. */
async function writeEvents(): Promise<readonly Operation[]> {
  const written: Operation[] = [];
  const parts = {
    ...{ apis: [], predictor: 'count', users: USERS, changing: USERS, recent: createRecentEvents() },
    caller: { send: () => Promise.reject(new Error('no API in this test')), close: () => {} },
    sink: { write: (operation: Operation) => void written.push(operation), close: () => {} },
    deadlines: { read: 1, event: 1, run: 1, rollback: 1, rollout: 1, survey: 1, generations: 1, erase: 1, readmit: 1 },
    isStopping: () => written.length >= TRANSACTIONS,
  };
  const options = { pool, transactionsPerSecond: 1_000, mostUsers: 4 };
  const writers = [1, 2, 3].map((no) => startSqlWriter(parts, `sql-${no}`, createDice(createRandom(no)), options));
  await Promise.all(writers);
  return written;
}

function checkerOf(operations: readonly Operation[]) {
  const checker = createChecker();
  for (const operation of operations) checker.write(operation);
  checker.close();
  return checker;
}

/** Runs the statement, returns the broken rules, and rolls the statement back. */
async function rulesAfter(
  statement: string,
  check: (db: Queryable, checker: ReturnType<typeof checkerOf>) => Promise<void>,
  operations = history,
): Promise<readonly string[]> {
  const checker = checkerOf(operations);
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query(statement);
    await check(client, checker);
    return [...checker.violations.counts.keys()];
  } finally {
    await client.query('rollback');
    client.release();
  }
}

const checkAll = (db: Queryable, checker: ReturnType<typeof checkerOf>) => checkStores(db, checker, stores);

describe('events and contexts', () => {
  it('pass as the service leaves them, in every repeated check', async () => {
    const checker = checkerOf(history);
    await checkAll(pool, checker);
    await checkAll(pool, checker);
    expect(checker.violations.first).toEqual([]);
    expect(checker.events.acknowledged).toBeGreaterThanOrEqual(TRANSACTIONS);
  });

  let id = '';
  let userId = '';
  beforeEach(() => {
    id = last.events[0]?.id ?? '';
    userId = last.events[0]?.userId ?? '';
  });

  it.each([
    [
      'an acknowledged event that is not stored',
      () => `delete from tandem.event_ids where id = '${id}'`,
      'acknowledged event lost',
    ],
    [
      'an event with another version than acknowledged',
      () => `update tandem.event_ids set context_version = 900 where id = '${id}'`,
      'event versions',
    ],
    [
      'an event of another user',
      () => `update tandem.event_ids set user_id = '999' where id = '${id}'`,
      'event versions',
    ],
    ['an event missing in the log', () => `delete from tandem.events where id = '${id}'`, 'event versions'],
    [
      'an event that no writer sent',
      () => `insert into tandem.events (source, id, user_id) values ('${SQL_SOURCE}', 'ghost', '3')`,
      'event never sent',
    ],
    [
      'a context ahead of its events',
      () => `update tandem.user_contexts set version = version + 1 where user_id = '${userId}'`,
      'context differs from its events',
    ],
    [
      'a context behind its events',
      () => `update tandem.user_contexts set version = version - 1 where user_id = '${userId}'`,
      'context differs from its events',
    ],
    [
      'a context below its tombstone',
      () => `update tandem.user_contexts set deleted_version = version + 1 where user_id = '${userId}'`,
      'context differs from its events',
    ],
    [
      'an erased context behind its events',
      () => `update tandem.user_contexts set version = 0, deleted_version = 1 where user_id = '${userId}'`,
      'context differs from its events',
    ],
  ])('%s: is found', async (_, statement, rule) => {
    expect(await rulesAfter(statement(), checkAll)).toContain(rule);
  });

  it('finds an answer with more changes than the stores ever had', async () => {
    const beyond = read(last.ended + 1, { userId, label: 500, source: 'live', generation: null });
    expect(await rulesAfter('select', checkAll, [...history, beyond])).toEqual(['answer beyond the stores']);
  });
});

describe('runs', () => {
  const insert = (columns: string, values: string) => `
    insert into tandem.runs (predictor, scope, reason, history, overlay_floor, model_version_id, ${columns})
    select 'count', 'all', 'api', 'h', 0, adopted_version_id, ${values} from tandem.predictors`;
  const check = (db: Queryable, checker: ReturnType<typeof checkerOf>) => checkRuns(db, checker, USERS, 0);

  it.each([
    ['failed with a reason', insert('state, error', `'failed', 'no rows'`), []],
    ['failed without a reason', insert('state', `'failed'`), ['run not ended']],
    ['still running', insert('state', `'running'`), ['run not ended']],
    ['done, with unscored users', insert('state, users_expected', `'done', ${USERS}`), ['run does not cover']],
    ['done, with no users', insert('state, users_expected', `'done', 0`), ['run does not cover']],
  ])('%s', async (_, statement, rules) => {
    expect(await rulesAfter(statement, check)).toEqual(rules);
  });

  it('accepts a run that scored only the users of its budget, also if its generation is dropped and its base expired', async () => {
    const made = (columns: string, values: string, users: number, number: number) =>
      `${insert(`state, users_expected, ${columns}`, `'done', ${users}, ${values}`)} returning *), scored${number} as (
        insert into tandem.chunks (run_id, no, state, scored) select id, 0, 'committed', ${users} from made${number})`;
    const generation = (number: number, base: string) => `
      insert into tandem.generations (predictor, number, model_version_id, buckets, run_id, history, cleared_erasures, state, base_id)
      select predictor, ${number}, model_version_id, 1, id, 'h', 0, 'dropped', ${base} from made${number} returning id`;
    const statement = `with made1 as (${made('budget', 'null', USERS, 1)}, base as (${generation(1, 'null')}),
      made2 as (${made('budget', `'{"share": 0.1}'`, 2, 2)} ${generation(2, '(select id from base)')};
      delete from tandem.generations where number = 1; delete from tandem.runs where budget is null`;
    expect(await rulesAfter(statement, check)).toEqual([]);
  });

  it('finds that an acknowledged run is missing', async () => {
    const started = { kind: 'run', at: 0, ended: 1, api: 'api 1', status: 202, scope: 'all', users: 0 } as const;
    expect(await rulesAfter('select', check, [{ ...started, id: 'a' }])).toEqual(['run not ended']);
  });
});
