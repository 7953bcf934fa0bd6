/**
 * Copies the checkout to a path with a space, owned by root or by an ordinary user. A copy is needed because an
 * ordinary user may not write to the packages and caches of this checkout.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '@tandem/local-servers/run-command';
import type { Combination } from './combinations.ts';
import { NotHere } from './images.ts';

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface Place {
  /** The root of the checkout that is tested. */
  readonly root: string;
  /** The account that runs the tests, or null for the current user. */
  readonly account: Account | null;
}

/** The unprivileged account of most systems. It needs no entry in the system's list of users. */
const ORDINARY: Account = { uid: 65_534, gid: 65_534 };
const LEFT_OUT = ['.git', '.tandem', '.turbo', 'coverage'];
const COPIED_WITHIN_MS = 600_000;

/** Provides the place, and reuses the copy of an earlier combination. Rejects with `NotHere` if that fails. */
export async function providePlace(wanted: Combination['place'], checkout: string, folder: string): Promise<Place> {
  if (wanted === 'here') return { root: checkout, account: null };
  const isRoot = process.getuid?.() === 0;
  if (wanted === 'spaced path, root' && !isRoot)
    throw new NotHere('only root can run this combination; repeat it as root');
  const root = spacedFolder(folder);
  const isNew = !copied.has(root);
  // Registered before the copy, so that an incomplete copy is removed too.
  copied.add(root);
  if (isNew) await copy(checkout, root);
  if (wanted === 'spaced path, root' || !isRoot) return { root, account: null };
  await run('chown', ['-R', `${ORDINARY.uid}:${ORDINARY.gid}`, root]);
  const enters = await runCommand(process.execPath, ['--version'], { ...ORDINARY, cwd: root });
  if (enters.code === 0) return { root, account: ORDINARY };
  throw new NotHere(
    `an ordinary user may not enter ${root}; move the checkout to folders that others may enter (chmod o+x)`,
  );
}

/** The copies that this process has made. A copy of an earlier process may have other files. */
const copied = new Set<string>();

/** Removes the copy if this process made it. The copy of another matrix run may be in use. */
export function removeCopy(folder: string): void {
  if (copied.delete(spacedFolder(folder))) rmSync(spacedFolder(folder), { recursive: true, force: true });
}

function spacedFolder(folder: string): string {
  return join(folder, `with a space ${process.pid}`);
}

async function copy(checkout: string, root: string): Promise<void> {
  rmSync(root, { recursive: true, force: true });
  // The state folder is created too, so that the ordinary user owns it.
  mkdirSync(join(root, '.tandem'), { recursive: true });
  const entries = readdirSync(checkout).filter((name) => !LEFT_OUT.includes(name));
  // Symbolic links are kept. The links of workspaces are relative, so they lead to the copy.
  await run('cp', ['-a', '--', ...entries.map((name) => join(checkout, name)), root]);
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCommand(program, args, { timeoutMs: COPIED_WITHIN_MS });
  if (code !== 0) throw new NotHere(`${program} failed: ${stderr.trim().split('\n')[0]}`);
}
