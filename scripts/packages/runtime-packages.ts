/**
 * Builds one package of ONNX Runtime per platform. `onnxruntime-node` has the files of all platforms (288 MB) and an
 * install script that may download CUDA. Each of these packages has the files of one platform (19 to 89 MB) and no
 * script.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output, root } from './plans.ts';
import { versionOf } from './workspaces.ts';

interface Platform {
  readonly os: string;
  readonly cpu: string;
}

/** Supported platforms: Tandem needs POSIX signals and process groups. */
const PLATFORMS: readonly Platform[] = [
  { os: 'linux', cpu: 'x64' },
  { os: 'linux', cpu: 'arm64' },
  { os: 'darwin', cpu: 'arm64' },
];

const nameOf = ({ os, cpu }: Platform) => `@tandem/onnxruntime-${os}-${cpu}`;

/** Returns the packages with their version, which is that of ONNX Runtime. */
export function runtimePackages(): Record<string, string> {
  const version = versionOf('onnxruntime-node');
  return Object.fromEntries(PLATFORMS.map((platform) => [nameOf(platform), version]));
}

export function buildRuntimePackages(): void {
  const scratch = mkdtempSync(join(tmpdir(), 'tandem-onnxruntime-'));
  try {
    const source = unpackSource(scratch);
    for (const platform of PLATFORMS) buildRuntimePackage(platform, source);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * Returns the folder with the files of all platforms, from the registry or npm's cache. node_modules has only the files
 * of this platform (scripts/install.mjs).
 */
function unpackSource(scratch: string): string {
  const spec = `onnxruntime-node@${versionOf('onnxruntime-node')}`;
  const packing = ['pack', spec, '--json', '--prefer-offline', '--pack-destination', scratch];
  const [packed] = JSON.parse(execFileSync('npm', packing, { cwd: root, encoding: 'utf8' }));
  const archive = join(scratch, packed.filename);
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const { integrity } = lock.packages['node_modules/onnxruntime-node'];
  const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (found !== integrity) throw new Error(`${spec} from the registry is not the file that package-lock.json names`);
  execFileSync('tar', ['-xzf', archive, '-C', scratch]);
  return join(scratch, 'package');
}

function buildRuntimePackage(platform: Platform, folder: string): void {
  const { os, cpu } = platform;
  const target = join(output, `onnxruntime-${os}-${cpu}`);
  const programs = join('bin/napi-v6', os, cpu);
  mkdirSync(join(target, 'dist'), { recursive: true });
  for (const file of readdirSync(join(folder, 'dist'))) {
    if (file.endsWith('.js')) cpSync(join(folder, 'dist', file), join(target, 'dist', file));
  }
  cpSync(join(folder, programs), join(target, programs), { recursive: true });
  const source = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const manifest = {
    name: nameOf(platform),
    version: source.version,
    description: `ONNX Runtime for Node on ${os} ${cpu}: the files of onnxruntime-node for this platform`,
    license: source.license,
    author: 'Microsoft Corporation',
    repository: source.repository,
    os: [os],
    cpu: [cpu],
    ...(os === 'linux' && { libc: ['glibc'] }),
    type: 'commonjs',
    main: 'dist/index.js',
    files: ['dist', 'bin'],
    dependencies: { 'onnxruntime-common': source.dependencies['onnxruntime-common'] },
    publishConfig: { access: 'public' },
  };
  writeFileSync(join(target, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  writeFileSync(join(target, 'README.md'), readmeOf(platform));
  // onnxruntime-node states the licence in its package.json, and has no licence file.
  cpSync(join(import.meta.dirname, 'onnxruntime-license.txt'), join(target, 'LICENSE'));
}

function readmeOf(platform: Platform): string {
  return `# ${nameOf(platform)}

ONNX Runtime for \`tandem\` and \`@tandem/embedded\` on ${platform.os} ${platform.cpu}. It holds the files of the package
[onnxruntime-node](https://www.npmjs.com/package/onnxruntime-node) for this platform, unchanged, and no install script.
`;
}
