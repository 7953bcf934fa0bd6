/** Installs programs that only this rig needs from npm, and keeps them under .tandem/ for later runs. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runCommand } from '@tandem/local-servers/run-command';

export const root = resolve(import.meta.dirname, '../../..');

const TOOLS = { verdaccio: '6.10.4', publint: '0.3.25', '@arethetypeswrong/cli': '0.18.5' };
const home = join(root, '.tandem/package-tools');

/** Returns the path of a tool's program, to be run by Node. */
export async function provideTool(name: keyof typeof TOOLS, program: string): Promise<string> {
  const marker = join(home, 'installed');
  const wanted = JSON.stringify(TOOLS);
  if (!existsSync(marker) || readFileSync(marker, 'utf8') !== wanted) {
    mkdirSync(home, { recursive: true });
    // A dependency of verdaccio requires node-fetch by a tag, which mirrors of the registry may lack.
    const manifest = { private: true, dependencies: TOOLS, overrides: { 'node-fetch': '2.7.0' } };
    writeFileSync(join(home, 'package.json'), JSON.stringify(manifest));
    await mustRun('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'], { cwd: home });
    writeFileSync(marker, wanted);
  }
  return join(home, 'node_modules', name, program);
}

/** Runs a program and returns its output. Rejects with the whole output if the exit code is not 0. */
export async function mustRun(...[program, args, options]: Parameters<typeof runCommand>): Promise<string> {
  const { code, stdout, stderr } = await runCommand(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${stdout}\n${stderr}`);
  return stdout;
}
