/** Writes the package.json of a package. */
import { join } from 'node:path';
import { type PackageJson, type PackagePlan, readPackageJson, VERSION } from './plans.ts';
import { runtimePackages } from './runtime-packages.ts';
import { versionOf } from './workspaces.ts';

interface ManifestParts {
  /** Libraries that the program imports. */
  readonly libraries: ReadonlySet<string>;
  /** Libraries whose types the declarations name. */
  readonly declared: ReadonlySet<string>;
  readonly usesModels: boolean;
}

export function manifestOf(
  plan: PackagePlan,
  { libraries, declared, usesModels }: ManifestParts,
): Record<string, unknown> {
  const { description } = readPackageJson(plan.workspace);
  const versions = [...libraries].sort().map((name) => [name, versionOf(name)]);
  const dependencies = Object.fromEntries([...typesOf(declared), ...versions]);
  const optional = { ...(usesModels && runtimePackages()), ...(plan.bin && localServers()) };
  return {
    name: plan.name,
    version: VERSION,
    description,
    license: 'MIT',
    type: 'module',
    engines: { node: plan.node },
    ...(plan.bin && { bin: { tandem: 'bin/tandem.mjs' }, tandem: { node: pinnedNode() } }),
    exports: { ...exportsOf(plan), './package.json': './package.json' },
    files: ['dist', ...(plan.bin ? ['bin'] : [])],
    ...(plan.sideEffects === false && { sideEffects: false }),
    ...(libraries.size > 0 && { dependencies }),
    ...(Object.keys(optional).length > 0 && { optionalDependencies: optional }),
    publishConfig: { access: 'public' },
  };
}

/**
 * Returns the type packages of libraries without their own types. The declarations do not compile without these
 * packages.
 */
function typesOf(declared: ReadonlySet<string>): readonly (readonly [name: string, version: string])[] {
  const known = readPackageJson('.').devDependencies ?? {};
  return [...declared].sort().flatMap((library) => {
    const name = `@types/${library}`;
    return known[name] === undefined ? [] : [[name, known[name]] as const];
  });
}

function exportsOf(plan: PackagePlan): Record<string, unknown> {
  const file = (source: string, ending: string) => `./${join('dist', source).replace(/\.ts$/, ending)}`;
  return Object.fromEntries(
    Object.entries(plan.exports).map(([subpath, source]) => [
      subpath,
      { types: file(source, '.d.ts'), default: file(source, '.js') },
    ]),
  );
}

/** Returns the packages of the local Postgres. npm installs the one for its platform, and succeeds if there is none. */
function localServers(): NonNullable<PackageJson['optionalDependencies']> {
  return readPackageJson('libs/local-servers').optionalDependencies ?? {};
}

/**
 * Returns the Node version with which the repository is tested. bin/tandem.mjs downloads it if the installed Node is
 * too old.
 */
function pinnedNode(): string {
  const [version, ...others] = new Set(Object.values(readPackageJson('.').optionalDependencies ?? {}));
  if (version === undefined || others.length > 0) throw new Error('package.json must pin one version of Node');
  return version;
}
