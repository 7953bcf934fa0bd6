/**
 * A PgBouncer in front of a Postgres, with the defaults of its package. PGBOUNCER_BIN replaces the program in the PATH.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { findFreePort } from '@tandem/local-servers/ports';
import pg from 'pg';
import { until } from './until.fixture.ts';

export interface OwnPooler {
  /** Returns the URL with the address of the pooler. */
  by(url: string): string;
  readonly port: number;
  close(): Promise<void>;
}

interface PoolerOptions {
  /** The folder of configuration and log. The account that runs PgBouncer must be able to enter it. */
  readonly folder: string;
  /** The URL of the server behind the pooler. */
  readonly url: string;
  readonly mode?: 'transaction' | 'session';
  /** Further lines of the section `[pgbouncer]`. */
  readonly settings?: readonly string[];
}

/** The account that runs PgBouncer, which does not run as root. */
const ACCOUNT = 'postgres';
const living = new Set<() => void>();
process.on('exit', () => {
  for (const end of living) end();
});

/** Returns the path of the program, or null if it is not installed. */
export function findPgbouncer(): string | null {
  const named = process.env.PGBOUNCER_BIN;
  if (named) return named;
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, 'pgbouncer')).find((file) => existsSync(file)) ?? null;
}

export async function startPooler({
  folder,
  url,
  mode = 'transaction',
  settings = [],
}: PoolerOptions): Promise<OwnPooler> {
  const program = findPgbouncer();
  if (program === null)
    throw new Error('PgBouncer is not installed: run apt-get install pgbouncer, or set PGBOUNCER_BIN');
  const { hostname, port: serverPort, username, password } = new URL(url);
  const login = `user=${decodeURIComponent(username)} password=${decodeURIComponent(password)}`;
  const port = await findFreePort();
  const file = join(folder, 'pgbouncer.ini');
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o777);
  await writeFile(
    file,
    `[databases]
* = host=${hostname} port=${serverPort} ${login}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
logfile = ${join(folder, 'pgbouncer.log')}
${settings.join('\n')}
`,
  );
  const account = process.getuid?.() === 0 ? ['-u', ACCOUNT] : [];
  const child = spawn(program, [...account, file], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.on('close', resolve));
  const end = () => void child.kill('SIGTERM');
  living.add(end);
  const by = (address: string) => Object.assign(new URL(address), { hostname: '127.0.0.1', port: String(port) }).href;
  await until('PgBouncer answers', () => child.exitCode !== null || answers(by(url)));
  if (child.exitCode !== null)
    throw new Error(`PgBouncer ended (${child.exitCode}): see ${join(folder, 'pgbouncer.log')}`);
  return {
    by,
    port,
    async close() {
      end();
      await ended;
      living.delete(end);
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}
