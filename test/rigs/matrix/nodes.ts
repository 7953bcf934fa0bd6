/** Provides versions of Node from npm packages, and keeps them in the folder of the matrix for later runs. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '@tandem/local-servers/run-command';
import { NotHere } from './images.ts';

export interface ReadyNode {
  readonly program: string;
  /** The version that the program reports, such as `22.23.3`. */
  readonly version: string;
}

const FETCHED_WITHIN_MS = 300_000;

/** Provides a version of Node, or with null the Node that runs this program. Rejects with `NotHere` if that fails. */
export async function provideNode(version: string | null, folder: string): Promise<ReadyNode> {
  if (version === null) return { program: process.execPath, version: process.versions.node };
  const name = `node-${process.platform}-${process.arch}`;
  const home = join(folder, `node-${version}`);
  const program = join(home, 'node_modules', name, 'bin/node');
  if (!existsSync(program)) await install(`${name}@${version}`, home);
  const said = await runCommand(program, ['--version'], { timeoutMs: 20_000 });
  if (said.code !== 0) throw new NotHere(`Node ${version} does not run here: ${said.stderr.trim()}`);
  return { program, version: said.stdout.trim().slice(1) };
}

async function install(spec: string, home: string): Promise<void> {
  mkdirSync(home, { recursive: true });
  const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const installed = await runCommand('npm', ['install', '--prefix', home, ...flags, spec], {
    timeoutMs: FETCHED_WITHIN_MS,
  });
  if (installed.code !== 0) throw new NotHere(`npm could not fetch ${spec}: ${installed.stderr.trim().split('\n')[0]}`);
}
