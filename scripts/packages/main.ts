/**
 * `npm run packages` builds the published packages into .tandem/packages, one folder per package, ready for `npm
 * publish`.
 *
 * Each package holds the repository's modules as plain ESM, file by file in the same tree. So a child process, a worker
 * thread or a migration has the same relative path in the package as in the repository. The libs are part of the
 * packages that use them and are not published separately.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderClientTypes } from './client-types.ts';
import { collectModules, copyData, tree } from './collect.ts';
import { manifestOf } from './manifest.ts';
import { output, PACKAGES, type PackagePlan, root } from './plans.ts';
import { buildRuntimePackages } from './runtime-packages.ts';

/** The compiler error for an exported function whose type uses a name that its module does not export. */
const NO_DECLARATION = 'TS4058';

/** Compiles the product, without tests, to JavaScript and declarations. Returns the modules that have no declaration. */
function compile(): ReadonlySet<string> {
  mkdirSync(output, { recursive: true });
  const config = {
    extends: '../../tsconfig.json',
    compilerOptions: {
      noEmit: false,
      declaration: true,
      rewriteRelativeImportExtensions: true,
      rootDir: root,
      outDir: tree,
    },
    include: ['../../apps', '../../libs'],
    exclude: ['libs/testing', '**/node_modules', '**/*.test.ts', '**/*.fixture.ts'].map((one) => `../../${one}`),
  };
  const file = join(output, 'tsconfig.json');
  writeFileSync(file, JSON.stringify(config));
  const { stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', file], { cwd: root, encoding: 'utf8' });
  const problems = [...stdout.matchAll(/^(\S+)\(\d+,\d+\): error (TS\d+)/gm)];
  if (problems.some(([, , code]) => code !== NO_DECLARATION))
    throw new Error(`the packages do not compile:\n${stdout}`);
  return new Set(problems.map(([, path = '']) => path.replace(/\.ts$/, '.d.ts')));
}

/** Builds a package. Returns the command that installs it from its folder. */
function build(plan: PackagePlan, undeclared: ReadonlySet<string>): string {
  const folder = join(output, plan.folder);
  const dist = join(folder, 'dist');
  const entries = Object.values(plan.exports);
  const program = collectModules([...entries, ...plan.programs], '.js', dist);
  const declared = collectModules(entries, '.d.ts', dist);
  const missing = [...declared.files].filter((path) => undeclared.has(path));
  if (missing.length > 0) throw new Error(`${plan.name} has types without a declaration in ${missing.join(', ')}`);
  for (const pattern of plan.data) copyData(pattern, dist);
  const usesModels = program.replaced.size > 0;
  if (usesModels) copyFileSync(join(import.meta.dirname, 'onnxruntime.js'), join(dist, 'onnxruntime.js'));
  const untold = [...declared.libraries].filter((name) => !program.libraries.has(name));
  if (untold.length > 0) throw new Error(`${plan.name} declares types of ${untold.join(', ')}, which it does not use`);
  const manifest = manifestOf(plan, { libraries: program.libraries, declared: declared.libraries, usesModels });
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  cpSync(join(root, plan.workspace, 'README.md'), join(folder, 'README.md'));
  if (plan.bin !== undefined) {
    const bin = join(folder, 'bin/tandem.mjs');
    mkdirSync(join(folder, 'bin'));
    copyFileSync(join(root, plan.bin), bin);
    chmodSync(bin, 0o755);
  }
  return installCommand(usesModels ? [plan.folder, `onnxruntime-${process.platform}-${process.arch}`] : [plan.folder]);
}

function installCommand(folders: readonly string[]): string {
  const paths = folders.map((one) => join(output, one)).map((path) => (/^[\w./@-]+$/.test(path) ? path : `'${path}'`));
  return ['npm install --install-links', ...paths].join(' ');
}

rmSync(output, { recursive: true, force: true });
const undeclared = compile();
// The client's declarations in the repository name Zod's types.
const clientTypes = await renderClientTypes();
for (const file of globSync('libs/**/wire-types.d.ts', { cwd: tree })) writeFileSync(join(tree, file), clientTypes);
const installCommands = PACKAGES.map((plan) => build(plan, undeclared));
buildRuntimePackages();
process.stdout.write(`built the packages in ${output}. To install one in a folder of yours, run there:\n`);
for (const command of installCommands) process.stdout.write(`  ${command}\n`);
