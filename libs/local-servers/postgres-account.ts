/**
 * Chooses the account that Postgres runs as. Postgres refuses to run as root, so root starts it with another account.
 * That account must reach data and programs even in a folder that other users cannot enter, such as a clone in root's
 * home.
 */
import { chownSync } from 'node:fs';
import { LocalServerError } from './local-server-error.ts';
import { type PostgresPrograms, useOwnPostgres } from './postgres-programs.ts';
import { type CommandOptions, type CommandResult, runCommand } from './run-command.ts';

export interface PostgresAccount {
  /** The words before the program and its arguments. */
  readonly prefix: readonly string[];
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Makes the account the owner of a file or folder. */
  own(path: string): void;
}

const ordinary: PostgresAccount = { prefix: [], own: () => undefined };

interface AccountChoice {
  readonly programs: PostgresPrograms;
  /** A folder that exists and belongs to this user. The account must be able to work in folders below it. */
  readonly folder: string;
  readonly log: (line: string) => void;
}

/**
 * Returns the account. Throws if no account can run the programs in that folder, with the system's message and the fix.
 */
export async function choosePostgresAccount({ programs, folder, log }: AccountChoice): Promise<PostgresAccount> {
  const asRoot = process.getuid?.() === 0;
  const candidates = asRoot ? accountsForRoot(await findAccount(log)) : [ordinary];
  let last: CommandResult | undefined;
  for (const account of candidates) {
    last = await tryAccount(account, programs, folder);
    if (last.code === 0) return account;
  }
  throw explainRefusal(last?.stderr ?? '', programs, folder, asRoot);
}

/**
 * Returns the ways to run as the account: without capabilities first, then with one capability, so that data and
 * programs need not move. It allows reading and entering every folder; if a container withholds it, the next one
 * bypasses file permissions. `no_setuid_fixup` is needed because Postgres finds its own files with access(2), which
 * otherwise ignores the capabilities of a user other than root.
 */
function accountsForRoot({ uid, gid }: { uid: number; gid: number }): PostgresAccount[] {
  const own = (path: string) => chownSync(path, uid, gid);
  const withCapability = (capability: string): PostgresAccount => ({
    own,
    prefix: [
      'setpriv',
      `--reuid=${uid}`,
      `--regid=${gid}`,
      '--clear-groups',
      '--securebits=+no_setuid_fixup',
      `--inh-caps=-all,+${capability}`,
      `--ambient-caps=-all,+${capability}`,
    ],
  });
  return [{ prefix: [], uid, gid, own }, withCapability('dac_read_search'), withCapability('dac_override')];
}

/** Runs a Postgres program as the account. */
export function runAs(
  account: PostgresAccount,
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const [first = program, ...rest] = [...account.prefix, program, ...args];
  return runCommand(first, rest, { ...options, uid: account.uid, gid: account.gid });
}

/**
 * Enters the folder and runs the program, so that an obstacle (permissions, a missing library) is reported before the
 * start.
 */
function tryAccount(account: PostgresAccount, programs: PostgresPrograms, folder: string): Promise<CommandResult> {
  // test -r uses access(2), like Postgres when it finds its own files.
  const script = 'cd "$1" && test -r "$2" && "$2" --version';
  return runAs(account, 'sh', ['-c', script, 'sh', folder, programs.postgres], { cwd: '/' });
}

async function findAccount(log: (line: string) => void): Promise<{ uid: number; gid: number }> {
  const found = (await readAccount('postgres')) ?? (await createAccount(log));
  if (found !== undefined) return found;
  const problem = 'Postgres does not run as root, and the user "postgres" could not be created.';
  throw new LocalServerError('no_permission', problem, `Start as a user other than root. ${useOwnPostgres}`);
}

async function createAccount(log: (line: string) => void): Promise<{ uid: number; gid: number } | undefined> {
  log('Postgres does not run as root: creating the system user "postgres" for it');
  const flags = ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin'];
  const { code, stderr } = await runCommand('useradd', [...flags, 'postgres']);
  if (code !== 0) log(`useradd: ${stderr.trim()}`);
  return readAccount('postgres');
}

async function readAccount(name: string): Promise<{ uid: number; gid: number } | undefined> {
  const [user, group] = await Promise.all([runCommand('id', ['-u', name]), runCommand('id', ['-g', name])]);
  if (user.code !== 0 || group.code !== 0) return undefined;
  return { uid: Number(user.stdout), gid: Number(group.stdout) };
}

function explainRefusal(said: string, programs: PostgresPrograms, folder: string, asRoot: boolean): LocalServerError {
  if (/GLIBC|GNU_HASH|No such file|not found/i.test(said) && !/cannot open shared object/.test(said)) {
    const remedy = `Use Linux with glibc 2.26 or newer, but not Alpine, which has another C library. ${useOwnPostgres}`;
    return new LocalServerError(
      'no_program',
      `${programs.postgres} does not run on this system: ${said.trim()}`,
      remedy,
    );
  }
  if (/cannot open shared object/.test(said)) {
    const remedy = `Make this user the owner of the folder, because links in the package could not be created; or run npm rebuild. ${useOwnPostgres}`;
    return new LocalServerError('no_program', `${programs.postgres} lacks a library: ${said.trim()}`, remedy);
  }
  const problem = asRoot
    ? `Postgres does not run as root, and the user postgres cannot enter ${folder} or run ${programs.postgres}: ${said.trim()}`
    : `${programs.postgres} cannot be run: ${said.trim()}`;
  const remedy = asRoot
    ? `Move the project to a folder that every user may enter (chmod o+x each folder above it), or start as a user other than root. ${useOwnPostgres}`
    : `Check its permissions, or run npm ci again. ${useOwnPostgres}`;
  return new LocalServerError('no_permission', problem, remedy);
}
