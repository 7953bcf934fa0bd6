/** Which databases and logins share a history. */
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';

let database: TestDatabase;
let name: string;
const copy = () => `${name}_restored`;
const roles = () => [`${name}_owner`, `${name}_login`] as const;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  name = (await database.pool.query<{ name: string }>('select current_database() as name')).rows[0]?.name ?? '';
});
afterAll(async () => {
  await database.drop();
  await onServer(async (client) => {
    await client.query(`drop database if exists ${copy()}`);
    for (const role of roles()) await client.query(`drop role if exists ${role}`);
  });
});

async function onServer<T>(use: (client: pg.Client) => Promise<T>, url = inject('databaseUrl')): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function historyOf(client: Pick<pg.Client, 'query'>): Promise<string> {
  const { rows } = await client.query<{ history: string; rotation: string }>(
    'select tandem.current_history() as history',
  );
  return rows[0]?.history ?? '';
}

function urlOf(databaseName: string): string {
  const url = new URL(inject('databaseUrl'));
  url.pathname = `/${databaseName}`;
  return url.href;
}

test('a database that was restored under another name in the same cluster has another history, even after a rename to the old name', async () => {
  const before = await onServer(historyOf, urlOf(name));
  await onServer((client) => client.query(`create database ${copy()} template ${inject('templateDatabase')}`));
  const rotation = 'select rotation::text from tandem.history_rotation';
  const { rows } = await onServer((client) => client.query<{ rotation: string }>(rotation), urlOf(name));
  await onServer(
    (client) => client.query({ text: 'update tandem.history_rotation set rotation = $1', values: [rows[0]?.rotation] }),
    urlOf(copy()),
  );
  const restored = await onServer(historyOf, urlOf(copy()));
  expect(restored).not.toBe(before);
  await onServer((client) => client.query(`alter database ${copy()} rename to ${copy()}_2`));
  const renamed = await onServer(historyOf, urlOf(`${copy()}_2`));
  expect([before, restored]).not.toContain(renamed);
  await onServer((client) => client.query(`alter database ${copy()}_2 rename to ${copy()}`));
  expect(await onServer(historyOf, urlOf(copy()))).toBe(restored);
});

test("every login reads the same history by the owner's rights, even if functions are revoked", async () => {
  const [owner, login] = roles();
  await database.pool.query(`create role ${owner}; create role ${login};
    grant usage, create on schema tandem to ${owner}; grant usage on schema tandem to ${login};
    grant select on tandem.history_rotation to ${owner};
    alter function tandem.current_history() owner to ${owner}`);
  const ofLogin = async () => {
    const client = await database.pool.connect();
    try {
      await client.query(`begin; set local role ${login}`);
      return await historyOf(client);
    } finally {
      await client.query('rollback');
      client.release();
    }
  };
  const whole = await historyOf(database.pool);
  expect(await ofLogin()).toBe(whole);
  const histories = [whole];
  for (const revoked of ['pg_control_system()', 'pg_current_wal_insert_lsn()']) {
    await database.pool.query(`revoke execute on function ${revoked} from public`);
    const history = await historyOf(database.pool);
    expect(history).toMatch(/^[0-9a-f]{16}$/);
    expect(await ofLogin()).toBe(history);
    expect(histories).not.toContain(history);
    histories.push(history);
  }
});

/** Creates a database in which pg_walfile_name fails. The built-in function cannot be replaced. */
async function createRefusing(condition: string): Promise<TestDatabase> {
  const other = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await other.pool.query(`alter function pg_catalog.pg_walfile_name(pg_lsn) rename to pg_walfile_name_of_before;
    create function pg_catalog.pg_walfile_name(pg_lsn) returns text language plpgsql as
      $$ begin raise ${condition} using message = 'not on this server'; end $$`);
  return other;
}

test('a function that is missing or rejects calls is replaced by the start time of Postgres', async () => {
  const other = await createRefusing('feature_not_supported');
  // Each `tandem migrate` does this.
  const probe = () => other.pool.query('select tandem.probe_history()');
  try {
    await expect(historyOf(other.pool)).rejects.toMatchObject({ code: '0A000' });
    await probe();
    const refused = await historyOf(other.pool);
    expect(refused).toMatch(/^[0-9a-f]{16}$/);
    expect(await historyOf(other.pool)).toBe(refused);
    await other.pool.query('drop function pg_catalog.pg_walfile_name(pg_lsn)');
    await probe();
    expect(await historyOf(other.pool)).toBe(refused);
    await other.pool.query('alter function pg_catalog.pg_walfile_name_of_before(pg_lsn) rename to pg_walfile_name');
    await probe();
    expect(await historyOf(other.pool)).not.toBe(refused);
  } finally {
    await other.drop();
  }
});

test('a function that fails in another way does not change the history: the statement fails', async () => {
  const other = await createRefusing('io_error');
  try {
    await expect(historyOf(other.pool)).rejects.toMatchObject({ code: '58030' });
    await expect(other.pool.query('select tandem.probe_history()')).rejects.toMatchObject({ code: '58030' });
  } finally {
    await other.drop();
  }
});

test('a statement with a parallel plan can read it', async () => {
  const client = await database.pool.connect();
  try {
    await client.query(`create table visited as select n, md5(n::text) as text from generate_series(1, 50000) n; analyze visited;
      set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0`);
    const text = `select n::text from visited where text like 'abcde%' union all select tandem.current_history()`;
    const plan = await client.query<{ 'QUERY PLAN': string }>(`explain ${text}`);
    expect(plan.rows.map((row) => row['QUERY PLAN']).join()).toContain('Parallel');
    expect((await client.query(text)).rows.length).toBeGreaterThan(0);
  } finally {
    await client.query('drop table if exists visited');
    client.release(true);
  }
});
