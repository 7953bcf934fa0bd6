import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { leaveOrphan } from './killed-parent.fixture.ts';
import { startPostgres } from './postgres.ts';
import { findPostgresPrograms } from './postgres-programs.ts';
import { readProcess } from './process-identity.ts';
import type { LocalServer } from './server-process.ts';

describe('startPostgres', { timeout: 60_000 }, () => {
  let created: string;
  let parent: string;
  let dataDir: string;
  let lines: string[];
  let running: LocalServer | undefined;

  // A cluster is created once and copied for most tests, since initdb takes more CPU than everything else.
  beforeAll(async () => {
    created = newFolder();
    await (await startPostgres({ dataDir: join(created, 'data'), log: () => undefined })).stop();
  }, 60_000);

  afterAll(() => rmSync(created, { recursive: true, force: true }));

  beforeEach(() => {
    parent = newFolder();
    dataDir = join(parent, 'data');
    lines = [];
  });

  afterEach(async () => {
    await running?.stop();
    running = undefined;
    rmSync(parent, { recursive: true, force: true });
  });

  /** Copies a stopped server's folder, with its owners and modes. */
  const copyCreated = (name = 'data') => {
    expect(spawnSync('cp', ['-a', join(created, 'data'), join(parent, name)]).status).toBe(0);
  };

  const start = async (options: { port?: number; binDir?: string } = {}) => {
    running = await startPostgres({ dataDir, ...options, log: (line) => void lines.push(line) });
    return running;
  };

  it('keeps data and address over a restart, and is durable, local and protected by a password', async () => {
    copyCreated();
    const first = await start();
    await query(first.url, 'create table kept as select 42 as value');
    await first.stop();
    expect(readProcess(first.pid)).toBeUndefined();

    const second = await start();
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'select value from kept')).toEqual([{ value: 42 }]);
    const [settings] = await query(
      second.url,
      `select current_setting('fsync') fsync, current_setting('listen_addresses') listens,
        current_setting('server_encoding') encoding, current_setting('timezone') zone`,
    );
    expect(settings).toEqual({ fsync: 'on', listens: '127.0.0.1', encoding: 'UTF8', zone: 'UTC' });
    await expect(query(second.url.replace(/:[0-9a-f]+@/, ':wrong@'), 'select 1')).rejects.toThrow(/password/);
    expect(statSync(join(dataDir, 'password')).mode & 0o777).toBe(0o600);
    expect(readdirSync(dataDir).sort()).toEqual(['cluster', 'password', 'port', 'server.log']);
  });

  it('replaces a server that a killed parent left, with its committed data', async () => {
    copyCreated();
    const orphan = await leaveOrphan('postgres', [dataDir], 'SIGKILL');
    await query(orphan.url, 'create table kept as select 7 as value');

    const taken = await start();
    expect(taken.pid).not.toBe(orphan.pid);
    expect(readProcess(orphan.pid)).toBeUndefined();
    expect(taken.url).toBe(orphan.url);
    expect(await query(taken.url, 'select value from kept')).toEqual([{ value: 7 }]);
  });

  it('survives Ctrl-C in the terminal of its parent, so that the parent can stop it later', async () => {
    copyCreated();
    const orphan = await leaveOrphan('postgres', [dataDir], 'SIGINT');
    expect(await query(orphan.url, 'select 1 as alive')).toEqual([{ alive: 1 }]);
    await start();
  });

  it('recovers committed data after the server itself was killed, and reports its end', async () => {
    copyCreated();
    const first = await start();
    await query(first.url, 'create table kept as select 9 as value');
    process.kill(first.pid, 'SIGKILL');
    expect(await first.exited).toBe('ended by SIGKILL');

    const second = await start();
    expect(await query(second.url, 'select value from kept')).toEqual([{ value: 9 }]);
  });

  it('does not end another program with the process id of a dead server, and starts beside it', async () => {
    copyCreated();
    await (await start()).stop();
    writeFileSync(join(dataDir, 'cluster/postmaster.pid'), `${process.ppid}\n/elsewhere\n`);
    await start();
    expect(readProcess(process.ppid)).toBeDefined();
  });

  it('starts again after a kill during the creation of the data', async () => {
    mkdirSync(join(dataDir, 'cluster.new'), { recursive: true });
    writeFileSync(join(dataDir, 'cluster.new/half'), '');
    expect(await query((await start()).url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('refuses a required port that is in use, and names it', async () => {
    copyCreated();
    copyCreated('other');
    const { port } = await start();
    const other = startPostgres({ dataDir: join(parent, 'other'), port, log: () => undefined });
    await expect(other).rejects.toMatchObject({ code: 'port_taken', message: expect.stringContaining(String(port)) });
  });

  it('starts the programs of a given folder, and refuses a folder without programs', async () => {
    const binDir = join(parent, 'bin');
    mkdirSync(binDir);
    await expect(start({ binDir })).rejects.toMatchObject({
      code: 'no_program',
      message: expect.stringContaining(join(binDir, 'postgres')),
    });
    copyCreated();
    const { postgres, majorVersion } = await findPostgresPrograms();
    const server = await start({ binDir: dirname(postgres) });
    expect(JSON.stringify(await query(server.url, 'show server_version'))).toContain(`"${majorVersion}`);
  });

  it('refuses data of another major version without changing them', async () => {
    mkdirSync(join(dataDir, 'cluster'), { recursive: true });
    writeFileSync(join(dataDir, 'cluster/PG_VERSION'), '12\n');
    await expect(start()).rejects.toMatchObject({ code: 'old_data', message: expect.stringContaining('Postgres 12') });
  });
});

/**
 * Creates a folder with mode 700 and a space in its name. If the test runs as root, Postgres' account could not enter
 * it without help.
 */
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tandem postgres '));
  chmodSync(folder, 0o700);
  return folder;
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  // A server that stops reports it on open connections. The error is ignored, since the test continues after it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
