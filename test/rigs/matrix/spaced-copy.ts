/**
 * A copy of the checkout at a path with a space, as root's or as an ordinary user's. A copy, because that user may not
 * write where the packages and the caches of this checkout are.
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
  /** Null: whoever runs this. */
  readonly account: Account | null;
}

/** `nobody` of most systems; it needs no entry in the system's list. */
const ORDINARY: Account = { uid: 65_534, gid: 65_534 };
const LEFT_OUT = ['.git', '.tandem', '.turbo', 'coverage'];
const COPIED_WITHIN_MS = 600_000;

/** Rejects with `NotHere`. The copy of an earlier combination is used again. */
export async function providePlace(wanted: Combination['place'], checkout: string, folder: string): Promise<Place> {
  if (wanted === 'here') return { root: checkout, account: null };
  const isRoot = process.getuid?.() === 0;
  if (wanted === 'spaced path, root' && !isRoot) throw new NotHere('only root can run it as root: repeat it as root');
  const root = spacedFolder(folder);
  const isNew = !copied.has(root);
  // Remembered first: a copy that breaks off half-way is removed as well.
  copied.add(root);
  if (isNew) await copy(checkout, root);
  if (wanted === 'spaced path, root' || !isRoot) return { root, account: null };
  await run('chown', ['-R', `${ORDINARY.uid}:${ORDINARY.gid}`, root]);
  const enters = await runCommand(process.execPath, ['--version'], { ...ORDINARY, cwd: root });
  if (enters.code === 0) return { root, account: ORDINARY };
  throw new NotHere(`an ordinary user may not enter ${root}: put the checkout where others may pass (chmod o+x)`);
}

/** The copies that this process has made: one that is left from before may be of other files. */
const copied = new Set<string>();

/** Only what this process copied: another run of the matrix may be at work in its own. */
export function removeCopy(folder: string): void {
  if (copied.delete(spacedFolder(folder))) rmSync(spacedFolder(folder), { recursive: true, force: true });
}

function spacedFolder(folder: string): string {
  return join(folder, `with a space ${process.pid}`);
}

async function copy(checkout: string, root: string): Promise<void> {
  rmSync(root, { recursive: true, force: true });
  // With the folder for state, which becomes the ordinary user's as well.
  mkdirSync(join(root, '.tandem'), { recursive: true });
  const entries = readdirSync(checkout).filter((name) => !LEFT_OUT.includes(name));
  // Links stay links: those of the workspaces are relative, and lead to the copy.
  await run('cp', ['-a', '--', ...entries.map((name) => join(checkout, name)), root]);
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCommand(program, args, { timeoutMs: COPIED_WITHIN_MS });
  if (code !== 0) throw new NotHere(`${program} failed: ${stderr.trim().split('\n')[0]}`);
}
