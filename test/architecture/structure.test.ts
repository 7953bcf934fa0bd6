import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseSync } from 'rolldown/utils';
import { describe, expect, it } from 'vitest';
import {
  listFolders,
  packageOf,
  readAssignedFunctions,
  readSourceTree,
  resolveImport,
  root,
  type SourceFile,
  workspaceOf,
} from './source-tree.ts';

/** Files above the limit of lines, with the reason why each is one idea. The limit asks for a second look only. */
const LONG_FOR_A_REASON: Readonly<Record<string, string>> = {};

/** Files that assign a function literal to a property, with the reason why that is rare enough. */
const ASSIGNS_AT_A_START: Readonly<Record<string, string>> = {
  'apps/api/processes/primary.ts': 'once for each child process',
  'libs/redis/open-redis.ts': 'once for each connection',
};

const files = readSourceTree();
const product = files.filter((file) => !file.isTest);

/** The workspaces that each workspace may import. Apps may import every lib, and tests may import everything. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'libs/freshness': [],
  'libs/timing': [],
  // Pure, like libs/freshness.
  'libs/prediction': ['libs/timing', 'libs/freshness', 'libs/experiment'],
  'libs/experiment': [],
  'libs/telemetry': [],
  // Of the wire only types, which the client's package carries written out.
  'libs/transport': ['libs/wire'],
  'libs/client': ['libs/experiment', 'libs/transport', 'libs/wire'],
  // The names of reasons and the codes of errors.
  'libs/wire': ['libs/freshness'],
  'libs/local-servers': [],
  'libs/redis': [],
  'libs/http-server': ['libs/freshness'],
  // Configs and the wire use the same notation for durations and tensor types.
  'libs/config': ['libs/freshness', 'libs/prediction', 'libs/wire', 'libs/redis'],
  'libs/online-store': ['libs/timing', 'libs/redis', 'libs/freshness', 'libs/prediction', 'libs/telemetry'],
  'libs/offline-store': ['libs/timing', 'libs/freshness', 'libs/prediction', 'libs/telemetry', 'libs/experiment'],
  'libs/inference': ['libs/timing', 'libs/freshness', 'libs/prediction', 'libs/telemetry'],
  'libs/queue': ['libs/timing', 'libs/redis', 'libs/freshness', 'libs/prediction', 'libs/telemetry'],
  // Assembles a process that reads: an API, or an application with an embedded reader.
  'libs/reading': [
    'libs/timing',
    'libs/freshness',
    'libs/prediction',
    'libs/telemetry',
    'libs/wire',
    'libs/inference',
    'libs/offline-store',
    'libs/online-store',
  ],
  'libs/endpoints': [
    'libs/freshness',
    'libs/prediction',
    'libs/telemetry',
    'libs/wire',
    'libs/reading',
    'libs/http-server',
    'libs/offline-store',
  ],
  'libs/commands': [
    'libs/freshness',
    'libs/config',
    'libs/transport',
    'libs/admission',
    'libs/local-servers',
    'libs/offline-store',
  ],
  'libs/extension': [
    'libs/freshness',
    'libs/prediction',
    'libs/telemetry',
    'libs/commands',
    'libs/endpoints',
    'libs/reading',
    'libs/http-server',
    'libs/inference',
    'libs/offline-store',
  ],
  'libs/admission': [
    'libs/timing',
    'libs/freshness',
    'libs/prediction',
    'libs/config',
    'libs/inference',
    'libs/offline-store',
  ],
};

/** The extensions whose faces an extension uses. */
const mayUse: Readonly<Record<string, readonly string[]>> = {
  'libs/extensions/rollouts': ['libs/extensions/outcomes'],
};

/** The files that list extensions: those of the apps, of the client, and of the embedded reader. */
const LISTS: readonly string[] = [
  'apps/api/extensions.ts',
  'apps/cli/extensions.ts',
  'apps/worker/extensions.ts',
  'libs/client/create-client.ts',
  'libs/client/index.ts',
  'libs/client/session.ts',
  'libs/client/wire.ts',
  'libs/client/wire-types.ts',
  'libs/extensions/embedded/create-tandem.ts',
];

/** The libs that may import each vendor library, so that it can be replaced in one place. */
const vendorHomes: Readonly<Record<string, readonly string[]>> = {
  // BullMQ takes an ioredis connection, so libs/queue creates that connection.
  ioredis: ['libs/redis', 'libs/online-store', 'libs/queue'],
  'cluster-key-slot': ['libs/online-store'],
  bullmq: ['libs/queue'],
  // The shop is an application with its own database client, and fixtures create databases.
  pg: ['libs/offline-store', 'libs/testing', 'apps/shop'],
  kysely: ['libs/offline-store'],
  aws4fetch: ['libs/offline-store'],
  'onnxruntime-node': ['libs/inference'],
  '@grpc/grpc-js': ['libs/extensions/open-inference'],
  '@grpc/proto-loader': ['libs/extensions/open-inference'],
  // Schemas of the wire, of the config, and of the queue's jobs.
  zod: ['libs/wire', 'libs/config', 'libs/queue'],
  hono: ['apps/api', 'libs/endpoints'],
  '@hono/node-server': ['apps/api'],
  '@hono/zod-openapi': ['apps/api', 'libs/endpoints'],
  pino: ['libs/telemetry'],
  'prom-client': ['libs/telemetry'],
  'cron-parser': ['libs/config'],
  '@commander-js/extra-typings': ['apps/cli', 'libs/commands', 'libs/extension'],
  commander: ['apps/cli', 'libs/commands'],
  'csv-parse': ['libs/commands'],
};

/** Files that are imported from outside the project: by applications and by config files. */
const ENTRY_POINTS = [
  'libs/client/',
  'libs/client/index.ts',
  'libs/extensions/embedded/create-tandem.ts',
  'libs/config/define-config.ts',
  // The declarations of @tandem/embedded use its types.
  'libs/telemetry/series.ts',
  'apps/shop/tandem.config.ts',
  'apps/feed/tandem.config.ts',
];

/**
 * Returns whether a workspace may import another. Scripts may import apps and libs, because they generate files from
 * both.
 */
function isAllowed({ workspace, path }: Pick<SourceFile, 'workspace' | 'path'>, target: string): boolean {
  if (workspace === 'scripts') return /^(apps|libs|scripts)\//.test(target);
  if (isExtension(target)) return LISTS.includes(path) || (mayUse[workspace] ?? []).includes(workspaceOf(target));
  // The client is made of the extensions' parts.
  if (isExtension(workspace) && workspaceOf(target) === 'libs/client') return false;
  return workspace.startsWith('apps/') || workspace === 'libs/testing' || isExtension(workspace)
    ? target.startsWith('libs/') && !isOwnClient(workspace, target)
    : (mayImport[workspace] ?? []).includes(workspaceOf(target));
}

const isExtension = (path: string) => path.startsWith('libs/extensions/');

/** Returns whether a service imports the client of its own API, which is only for applications. */
function isOwnClient(workspace: string, target: string): boolean {
  return ['apps/api', 'apps/worker'].includes(workspace) && workspaceOf(target) === 'libs/client';
}

describe('structure', () => {
  it('sees the project', () => {
    expect(files.length).toBeGreaterThan(50);
  });

  it('imports only from left to right: apps, then stores, inference and queue, then prediction', () => {
    const wrong = product.flatMap((file) =>
      file.imports.flatMap((specifier) => {
        const target = resolveImport(file, specifier);
        if (target === null || target.startsWith(`${file.workspace}/`)) return [];
        return isAllowed(file, target) ? [] : [`${file.path} imports ${target}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('keeps the centre pure: libs/freshness and libs/prediction import no package', () => {
    const pure = /^(\.|node:crypto$|@tandem\/)/;
    const wrong = product
      .filter(({ workspace }) => workspace === 'libs/freshness' || workspace === 'libs/prediction')
      .flatMap((file) => file.imports.filter((one) => !pure.test(one)).map((one) => `${file.path}: ${one}`));
    expect(wrong).toEqual([]);
  });

  it('keeps each vendor library in its home', () => {
    const wrong = product.flatMap((file) =>
      file.imports.flatMap((specifier) => {
        const homes = vendorHomes[packageOf(specifier)];
        // Each extension has its own schemas of the wire, routes and commands.
        const ofAnyExtension = ['zod', 'hono', '@commander-js/extra-typings'].includes(packageOf(specifier));
        if (isExtension(file.workspace) && ofAnyExtension) return [];
        return homes && !homes.includes(file.workspace) ? [`${file.path} imports ${specifier}`] : [];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('defines the wire only in libs/wire, and imports only Zod, reasons and codes there', () => {
    const ofRoutes = new Set(['createRoute', 'OpenAPIHono', 'RouteConfig']);
    const elsewhere = product.filter(({ taken }) =>
      taken.some(({ specifier, name }) => specifier === '@hono/zod-openapi' && !ofRoutes.has(name)),
    );
    expect(elsewhere.map(({ path }) => path)).toEqual([]);
    const more = product
      .filter(({ workspace }) => workspace === 'libs/wire')
      .flatMap((file) =>
        file.imports
          .filter((one) => !/^(\.|zod$|@tandem\/freshness\/(reasons|error-codes)$)/.test(one))
          .map((one) => `${file.path}: ${one}`),
      );
    expect(more).toEqual([]);
  });

  it('has no import cycles', () => {
    const targets = product.map(
      (file) => [file.path, file.valueImports.flatMap((one) => resolveImport(file, one) ?? [])] as const,
    );
    expect(findCycles(new Map(targets))).toEqual([]);
  });

  it('has no cycles of folders', () => {
    const edges = product.flatMap((file) =>
      file.imports.flatMap((specifier) => {
        const target = resolveImport(file, specifier);
        return target === null || dirname(target) === dirname(file.path) ? [] : [[dirname(file.path), dirname(target)]];
      }),
    );
    const folders = Map.groupBy(edges, ([from = '']) => from);
    const targets = [...folders].map(([from, of]) => [from, of.map(([, to = '']) => to)] as const);
    expect(findCycles(new Map(targets))).toEqual([]);
  });

  it('exports nothing that no other file imports', () => {
    const taken = new Set(
      files.flatMap((file) => file.taken.map(({ specifier, name }) => `${resolveImport(file, specifier)} ${name}`)),
    );
    const idle = product
      .filter(({ path }) => !ENTRY_POINTS.some((entry) => path.startsWith(entry)))
      .filter(({ path }) => !taken.has(`${path} *`))
      .flatMap(({ path, exports }) =>
        exports.filter((name) => !taken.has(`${path} ${name}`)).map((name) => `${path} ${name}`),
      );
    expect(idle).toEqual([]);
  });

  it('exports from a workspace only modules that another workspace imports', () => {
    const imported = new Set(
      files.flatMap((file) => {
        const targets = file.imports.map((specifier) => resolveImport(file, specifier));
        return targets.filter((target) => target !== null && !target.startsWith(`${file.workspace}/`));
      }),
    );
    const faces = listFolders().filter(
      (folder) => /^(apps|libs)\//.test(folder) && existsSync(join(root, folder, 'package.json')),
    );
    const entries = faces.flatMap((folder) => {
      const { exports = {} } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
      return Object.values<string>(exports).map((file) => join(folder, file));
    });
    expect(entries.length).toBeGreaterThan(100);
    const published = (entry: string) => ENTRY_POINTS.some((path) => entry.startsWith(path));
    expect(entries.filter((entry) => !imported.has(entry) && !published(entry))).toEqual([]);
  });

  it('imports only files that exist', () => {
    const known = new Set(files.map((file) => file.path));
    const wrong = files.flatMap((file) =>
      file.imports.flatMap((specifier) => {
        const target = resolveImport(file, specifier);
        return target !== null && /\.(ts|mjs)$/.test(target) && !known.has(target)
          ? [`${file.path} imports ${target}`]
          : [];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('has files of at most 450 lines and tests of at most 500, except generated files and those with a reason', () => {
    const long = files
      .filter(({ code }) => !code.startsWith('/** Generated by `npm run generate`'))
      .filter((file) => file.lines > (file.isTest ? 500 : 450) && !(file.path in LONG_FOR_A_REASON))
      .map((file) => `${file.path}: ${file.lines}`);
    expect(long, 'divide each by idea, not by length, or give its reason in LONG_FOR_A_REASON').toEqual([]);
  });

  it('has functions of at most 40 lines', () => {
    const long = product.flatMap((file) =>
      file.functions.filter((one) => one.lines > 40).map((one) => `${file.path}:${one.line} ${one.name}: ${one.lines}`),
    );
    expect(long).toEqual([]);
  });

  // V8 allocates such a function in the old generation. What it captures then survives until a full collection. This
  // does not hold for object literals, `Object.assign`, or a function that a variable names.
  it('assigns no function literal to a property, except at a start', () => {
    const found = product
      .filter(({ workspace }) => workspace.startsWith('libs/') || workspace === 'apps/api')
      .flatMap(({ path, assignedFunctions }) => assignedFunctions.map((line) => ({ path, line })));
    expect(found.filter(({ path }) => !(path in ASSIGNS_AT_A_START))).toEqual([]);
    expect([...new Set(found.map(({ path }) => path))].sort()).toEqual(Object.keys(ASSIGNS_AT_A_START).sort());
  });

  it.each([
    'this.read = () => 1;',
    'this.#read = async () => 1;',
    "one['read'] = function () {};",
    'one.read ??= (x) => x;',
    'one.read = <T>(x: T): T => x;',
    'one.read = (\n  x,\n) => x;',
    'one.read = (() => 1) as Read;',
  ])('finds the assigned function literal of %s', (statement) => {
    const code = `class A {\n  #read: unknown;\n  start(one: any) {\n    ${statement}\n  }\n}`;
    expect(readAssignedFunctions(parseSync('a.ts', code).program, code)).toEqual([4]);
  });

  it('has no folder for miscellaneous code', () => {
    const drawers = new Set(['shared', 'utils', 'util', 'helpers', 'helper', 'common', 'core', 'misc', 'lib', 'stuff']);
    const named = [...listFolders(), ...files.map((file) => file.path)];
    expect(named.filter((path) => drawers.has(basename(path).replace(/\.(ts|mjs)$/, '')))).toEqual([]);
  });

  it('never uses the pathname of a file URL, in which a space is %20', () => {
    const wrong = files.filter((file) => /import\.meta\.url\)\.pathname/.test(file.code)).map((file) => file.path);
    expect(wrong).toEqual([]);
  });

  it('names only files that exist in ARCHITECTURE.md', () => {
    const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
    const named = [...text.matchAll(/`((?:apps|libs|test|migrations)\/[\w./-]+)`/g)].map((match) => match[1] ?? '');
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it('has no file in a lib that only tests import', () => {
    const read = new Set(
      product.flatMap((file) =>
        [...file.imports, ...file.taken.map(({ specifier }) => specifier)].map((one) => resolveImport(file, one)),
      ),
    );
    const entries = /\/(main|.*-main|worker|.*-watchdog)\.ts$|\.config\.ts$|\.d\.ts$/;
    const unread = product.filter(
      (file) =>
        file.workspace.startsWith('libs/') &&
        file.workspace !== 'libs/testing' &&
        !read.has(file.path) &&
        !ENTRY_POINTS.includes(file.path) &&
        !entries.test(file.path),
    );
    expect(unread.map((file) => file.path)).toEqual([]);
  });
});

/** Returns each cycle of a graph once, beginning at the first node that the search found. */
function findCycles(targets: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (node: string, trail: readonly string[]): void => {
    const at = trail.indexOf(node);
    if (at >= 0) cycles.push([...trail.slice(at), node].join(' → '));
    if (at >= 0 || done.has(node)) return;
    for (const next of targets.get(node) ?? []) visit(next, [...trail, node]);
    done.add(node);
  };
  for (const node of targets.keys()) visit(node, []);
  return cycles;
}
