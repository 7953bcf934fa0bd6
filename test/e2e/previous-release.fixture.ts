/** Extracts the code of earlier releases from the git history. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const CHECKOUT = join(import.meta.dirname, '../..');

/** The last commit of release 0.1.0, which does not know the number of the freshness protocol. */
export const RELEASE_0_1 = 'bcebbc863ea2';
/** The last commit of release 0.2.0 whose watches raise versions in each statement, before migration 0073. */
export const RELEASE_0_2 = '3d69cb5fede2';

/** Returns whether the git history has the commit. A shallow clone and a copy without history lack it. */
export function hasRelease(commit: string): boolean {
  try {
    execFileSync('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: CHECKOUT, stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Unpacks a release into a folder, with this checkout's packages and its own workspaces. Returns the folder. */
export function unpackRelease(commit: string, parent: string): string {
  const folder = join(parent, 'previous-release');
  mkdirSync(folder);
  const archive = execFileSync('git', ['archive', commit], { cwd: CHECKOUT, maxBuffer: 1 << 30 });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  const packages = join(folder, 'node_modules');
  mkdirSync(join(packages, '@tandem'), { recursive: true });
  const shared = readdirSync(join(CHECKOUT, 'node_modules')).filter((name) => name !== '@tandem');
  for (const name of shared) symlinkSync(join(CHECKOUT, 'node_modules', name), join(packages, name));
  for (const workspaces of ['libs', 'apps']) {
    for (const name of readdirSync(join(folder, workspaces))) {
      symlinkSync(join(folder, workspaces, name), join(packages, '@tandem', name));
    }
  }
  return folder;
}
