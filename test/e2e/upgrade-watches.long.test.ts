/**
 * Upgrades from release 0.2.0, whose watches raise versions in each statement, while rows change: watches stay, no stale
 * answer is called fresh by either release, and no writer fails.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { listWatchedSources } from '@tandem/offline-store/sources/watched-sources';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../apps/cli/cli.fixture.ts';
import {
  type Changing,
  changeRow,
  createChangingTables,
  startChanging,
  type Table,
  WATCHES,
} from './changing-tables.fixture.ts';
import { COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { hasRelease, RELEASE_0_2, unpackRelease } from './previous-release.fixture.ts';
import type { Program } from './program.fixture.ts';
import { seededRandom } from './seed.fixture.ts';
import { makeFolder } from './servers.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 300;
const TABLES = Object.keys(WATCHES) as Table[];
/** The users of the transactions that are open during the migration. No writer changes them. */
const [HELD, LATER] = [1, 2];

interface Finding {
  readonly subject: string;
  readonly level: string;
  readonly text: string;
}

describe.skipIf(!hasRelease(RELEASE_0_2))('an upgrade from 0.2.0 with watched tables under load', () => {
  let folder: string;
  let deployment: Deployment;
  let before: string;
  let old: { readonly api: Api; readonly worker: Program };
  let api: Api;
  let changing: Changing;

  beforeAll(async () => {
    folder = await makeFolder();
    before = unpackRelease(RELEASE_0_2, folder);
    const migrations = pathToFileURL(`${before}/migrations/`);
    deployment = await createDeployment({ ownPostgres: true, migrations });
    await createChangingTables(deployment.pool, USERS);
    for (const table of TABLES) expect(await watch(table, join(before, 'apps/cli/main.ts'))).toMatchObject({ code: 0 });
    old = {
      api: await deployment.startApi({ checkout: before }),
      worker: await deployment.startWorker({}, before),
    };
    await deployment.runEveryone(old.api);
    changing = startChanging(deployment.pool, USERS, seededRandom('upgrade-watches'));
    changing.ask([['0.2.0', old.api]]);
  });
  afterAll(async () => {
    await changing?.stop();
    await deployment?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs the command of this release, or of another one. */
  const tandem = (args: readonly string[], main?: string) =>
    runCli(args, { cwd: deployment.folder, env: deployment.environment, ...(main === undefined ? {} : { main }) });
  const watch = (table: Table, main?: string) => tandem(['watch', table, ...WATCHES[table]], main);

  /** Waits for further fresh answers of a release, of which some were stored before. */
  async function untilRead(release: string): Promise<void> {
    const first = { fresh: 0, stored: 0, ...changing.seen.get(release) };
    await until(`fresh answers of ${release}`, () => {
      const { fresh = 0, stored = 0 } = changing.seen.get(release) ?? {};
      return fresh > first.fresh + 100 && stored > first.stored + 10;
    });
  }

  async function untilWritten(): Promise<void> {
    const { committed } = changing;
    await until('the writers commit', () => changing.committed > committed + 50, 30_000);
  }

  async function expectNoViolation(): Promise<void> {
    await untilWritten();
    expect([changing.violations, deployment.wire.violations]).toEqual([[], []]);
  }

  /** Opens a transaction, and changes a row of each table in it or before it. */
  async function open({ isBefore }: { isBefore: boolean }, user: number) {
    const client = await deployment.pool.connect();
    const tables = TABLES.filter((table) => !isBefore || table !== 'prices');
    if (!isBefore) await client.query('begin');
    for (const table of tables) await changeRow(client, table, user);
    if (isBefore) await client.query('begin isolation level repeatable read; select from orders');
    return {
      change: (table: Table) => changeRow(client, table, user),
      commit: () => client.query('commit'),
      release: () => client.release(),
    };
  }

  async function findWarnings(): Promise<readonly string[]> {
    const { out } = await tandem(['watch', '--json']);
    const { sources } = JSON.parse(out) as { sources: readonly Finding[] };
    return sources.flatMap(({ level, text }) => (level === 'ok' ? [] : [text.slice(0, text.indexOf(':'))]));
  }

  it('migrate waits for open transactions, writers do not wait for it, and the old release stays right on the new schema', async () => {
    await untilRead('0.2.0');
    const [held, later] = [await open({ isBefore: false }, HELD), await open({ isBefore: true }, LATER)];
    changing.demand(LATER, 3);
    const backup = await deployment.pool.connect();
    await backup.query('begin; select from tandem.watched_sources');
    const migrating = migrate(deployment.environment.DATABASE_URL);
    await until('the migration waits', async () => {
      const { rowCount } = await deployment.pool.query(`select from pg_locks l join pg_stat_activity a using (pid)
        where a.application_name = 'tandem-migrate' and not l.granted`);
      return rowCount;
    });
    await held.commit();
    changing.demand(HELD, 3);
    changing.demand('everyone', 1);
    held.release();
    await until('migration 0073 is applied', async () => {
      const { rows } = await deployment.pool.query(`select to_regclass('tandem.source_changes') as made`);
      return rows[0]?.made;
    });
    await untilWritten();
    await backup.query('commit');
    backup.release();
    expect(await migrating).toEqual(expect.arrayContaining(['0073_changes_at_commit', '0074_watched_schema']));
    // The session has plans of the old functions, and a snapshot of the old schema.
    for (const table of ['orders', 'items', 'notes'] as const) await later.change(table);
    await later.commit();
    changing.demand(LATER, 3);
    later.release();
    await deployment.runEveryone(old.api);
    await untilRead('0.2.0');
    await expectNoViolation();
  });

  it('both releases serve the changes beside each other, then this one alone', async () => {
    api = await deployment.startApi();
    await deployment.startWorker();
    changing.ask([
      ['0.2.0', old.api],
      ['this', api],
    ]);
    await deployment.runEveryone(api);
    await Promise.all([untilRead('0.2.0'), untilRead('this')]);
    await changeRow(deployment.pool, 'prices', 0);
    changing.demand('everyone', 1);
    await deployment.runEveryone(api);
    await Promise.all([untilRead('0.2.0'), untilRead('this')]);
    changing.ask([['this', api]]);
    for (const one of [old.api, old.worker]) {
      one.kill('SIGTERM');
      expect(await one.ended).toBe(0);
    }
    await deployment.runEveryone(api);
    await untilRead('this');
    await expectNoViolation();
  });

  it('all watches have their triggers, are compared with the schema, and raise versions', async () => {
    const watches = await listWatchedSources(deployment.pool);
    expect(watches.map(({ name, broken, faults }) => [name, broken, faults])).toEqual(
      [...TABLES].sort().map((table) => [`public.${table}`, [], []]),
    );
    await until('each list covers the feature query', async () => {
      const { rows } = await deployment.pool.query<{ name: string }>(`select r.name from tandem.watched_relations r
        join tandem.watched_sources w on w.id = r.watch where r.part = 'query' and cardinality(w.versions) = 1`);
      return rows.filter(({ name }) => name === 'public.counts').length === TABLES.length;
    });
    const versions = async () => {
      const { rows } = await deployment.pool.query<{ user: number; everyone: number }>({
        text: `select (select version::int from tandem.user_contexts where user_id = $1) as user,
          (select version::int from tandem.source_versions where predictor = $2) as everyone`,
        values: [String(LATER), COUNT],
      });
      return rows[0] ?? { user: 0, everyone: 0 };
    };
    for (const table of TABLES) {
      const { user, everyone } = await versions();
      await changeRow(deployment.pool, table, LATER);
      const isBulk = table === 'prices';
      changing.demand(isBulk ? 'everyone' : LATER, 1);
      expect([table, await versions()]).toEqual([
        table,
        { user: user + (isBulk ? 0 : 1), everyone: everyone + (isBulk ? 1 : 0) },
      ]);
    }
  });

  it('repeated watches look up keys at commit, and only the key without a foreign key is reported until it has one', async () => {
    for (const table of TABLES) expect(await watch(table)).toMatchObject({ code: 0 });
    expect(await findWarnings()).toEqual(['public.notes']);
    // It locks both tables, and so gives way to writers that hold one and wait for the other.
    await until('the foreign key exists', () =>
      deployment.pool.query(
        `set local lock_timeout = '50ms'; alter table notes add foreign key (order_id) references orders`,
      ),
    );
    expect(await watch('notes')).toMatchObject({ code: 0 });
    expect(await findWarnings()).toEqual([]);
    await deployment.runEveryone(api);
    await untilRead('this');
    await expectNoViolation();
  });
});
