/** The published packages and their contents. Paths are relative to the repository. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');
/** The build folder, with `tree` (the whole repository as JavaScript) and a folder for each package. */
export const output = join(root, '.tandem/packages');

export interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly exports?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface PackagePlan {
  readonly name: string;
  /** The folder of the package, relative to `output`. */
  readonly folder: string;
  /** The workspace from which the package takes its description and README.md. */
  readonly workspace: string;
  /** Maps each exported subpath to its TypeScript file. These modules have declarations. */
  readonly exports: Readonly<Record<string, string>>;
  /**
   * Files that run as programs, in addition to those that a reachable file names with `new URL(…, import.meta.url)`.
   */
  readonly programs: readonly string[];
  /** Files and folders whose names are computed at run time. */
  readonly data: readonly string[];
  /** The oldest Node on which the package works. */
  readonly node: string;
  readonly bin?: string;
  readonly sideEffects?: boolean;
}

const CLIENT = 'libs/client';
/** The Lua scripts of Redis, which the packages load at run time. */
const LUA = 'libs/online-store/*.lua';

export const PACKAGES: readonly PackagePlan[] = [
  {
    name: 'tandem',
    folder: 'tandem',
    workspace: 'apps/cli',
    exports: { '.': 'libs/config/define-config.ts' },
    programs: ['apps/cli/main.ts'],
    data: [
      LUA,
      'libs/extensions/open-inference/grpc/*.proto',
      'apps/shop/model/repurchase.onnx',
      'apps/shop/data/LICENSE.lifetimes.txt',
    ],
    // bin/tandem.mjs runs on this version, and downloads a newer Node for the program itself.
    node: '>=20',
    bin: 'apps/cli/launcher.mjs',
  },
  {
    name: '@tandem/client',
    folder: 'client',
    workspace: CLIENT,
    exports: {
      ...exportsOf(CLIENT),
      './client-errors': 'libs/transport/client-errors.ts',
      './outcomes': 'libs/extensions/outcomes/client.ts',
      './retry': 'libs/transport/retry.ts',
      './rollouts': 'libs/extensions/rollouts/client.ts',
    },
    programs: [],
    data: [],
    node: '>=20',
    sideEffects: false,
  },
  {
    name: '@tandem/embedded',
    folder: 'embedded',
    workspace: 'libs/embedded',
    exports: { '.': 'libs/embedded/create-tandem.ts' },
    programs: [],
    data: [LUA],
    node: '>=22.12',
  },
];

export function readPackageJson(folder: string): PackageJson {
  return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
}

/** The version of every package and every workspace. It is defined only in the root package.json. */
export const VERSION = readPackageJson('.').version;

function exportsOf(workspace: string): Record<string, string> {
  const found = Object.entries(readPackageJson(workspace).exports ?? {});
  return Object.fromEntries(found.map(([subpath, file]) => [subpath, join(workspace, file)]));
}
