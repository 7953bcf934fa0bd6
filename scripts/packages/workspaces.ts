/** Looks up files and library versions in the repository's workspaces. */
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type PackageJson, readPackageJson, root } from './plans.ts';

interface Workspace {
  /** `libs/freshness`. */
  readonly folder: string;
  readonly manifest: PackageJson;
}

const workspaces: readonly Workspace[] = globSync('{apps,libs,libs/extensions}/*/package.json', { cwd: root }).map(
  (file) => {
    const folder = dirname(file);
    return { folder, manifest: readPackageJson(folder) };
  },
);

/** Returns the TypeScript file of a name such as `@tandem/freshness/judge`, or null if no workspace has that name. */
export function findWorkspaceFile(specifier: string): string | null {
  const found = workspaces.find(({ manifest: { name } }) => specifier === name || specifier.startsWith(`${name}/`));
  if (found === undefined) return null;
  const subpath = `.${specifier.slice(found.manifest.name.length)}`;
  const file = found.manifest.exports?.[subpath];
  if (file === undefined)
    throw new Error(`${found.folder}/package.json exports no ${subpath}, which ${specifier} needs`);
  return join(found.folder, file);
}

/** Returns the version of a library that the workspaces name. Throws if they name none or several. */
export function versionOf(library: string): string {
  const named = workspaces.flatMap(({ manifest }) => manifest.dependencies?.[library] ?? []);
  const [version, ...others] = new Set(named);
  if (version === undefined) throw new Error(`no workspace has ${library} among its dependencies`);
  if (others.length > 0) throw new Error(`the workspaces name several versions of ${library}: ${named.join(', ')}`);
  return version;
}
