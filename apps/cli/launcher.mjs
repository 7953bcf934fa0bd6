#!/usr/bin/env node
/**
 * The `tandem` command of the npm package. The build copies it to bin/tandem.mjs. It uses only features of Node 20.
 *
 * Node 22.18 and newer import TypeScript (`tandem.config.ts`) and run the program in this process. On an older version,
 * this file fetches the Node version of the release once into the user's cache, and runs the program with it.
 */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../dist/apps/cli/main.js', import.meta.url));
const LOOK_EVERY_MS = 500;
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tandem');

function runsHere() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > 23 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18);
}

function fail(problem, remedy) {
  process.stderr.write(`tandem: ${problem}\n  fix: ${remedy}\n`);
  process.exit(1);
}

/** Returns the path of a Node that is new enough, from the user's cache or the registry. */
function provideNode() {
  const { tandem } = JSON.parse(fs.readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const name = `node-${process.platform}-${process.arch}`;
  const home = join(cache, `node-${tandem.node}`);
  const program = join(home, 'bin/node');
  if (fs.existsSync(program)) return program;
  const old = `Tandem needs Node 22.18 or newer, but this is Node ${process.versions.node}`;
  const remedy = `install Node ${tandem.node.split('.')[0]} and put it first on the PATH`;
  if (process.platform !== 'linux') fail(old, remedy);
  process.stderr.write(`tandem: ${old}: fetching Node ${tandem.node} into ${home} (once, 120 MB)\n`);
  try {
    fs.mkdirSync(cache, { recursive: true });
    const partial = fs.mkdtempSync(`${home}.`);
    install(`${name}@${tandem.node}`, partial);
    keep(join(partial, 'node_modules', name, 'bin'), home);
    fs.rmSync(partial, { recursive: true, force: true });
  } catch (error) {
    fail(`Node ${tandem.node} cannot be fetched: ${error.message}`, remedy);
  }
  return program;
}

function install(spec, folder) {
  const caller = process.env.npm_execpath ?? '';
  const [npm, ...before] = /^np[mx]-cli\.c?js$/.test(basename(caller))
    ? [process.execPath, join(caller, '../npm-cli.js')]
    : ['npm'];
  const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const args = [...before, 'install', '--prefix', folder, ...flags, spec];
  const { status, error } = spawnSync(npm, args, { cwd: folder, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw error ?? new Error(`npm install ${spec} ended with code ${status}`);
}

/**
 * Moves the files in one step, because another start may do the same. The headers in the package (67 MB) are not kept.
 */
function keep(bin, home) {
  const whole = fs.mkdtempSync(`${home}.`);
  fs.renameSync(bin, join(whole, 'bin'));
  try {
    fs.renameSync(whole, home);
  } catch (error) {
    fs.rmSync(whole, { recursive: true, force: true });
    if (!fs.existsSync(join(home, 'bin/node'))) throw error;
  }
}

function handOver(node) {
  const child = spawn(node, [PROGRAM, ...process.argv.slice(2)], { stdio: 'inherit' });
  let stopped = false;
  const stop = (signal) => {
    stopped = true;
    child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
  const parent = process.ppid;
  // npx runs a command in a shell, which ends by a signal without passing the signal on. A second signal to the program
  // would end it at once.
  if (process.env.npm_lifecycle_script) {
    setInterval(() => process.ppid === parent || stopped || stop('SIGTERM'), LOOK_EVERY_MS).unref();
  }
  child.on('error', (error) => fail(`${node} cannot be run: ${error.message}`, 'install Node 24'));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 1;
    if (signal === null) return;
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

// Keeps compiled code for the next start and for the processes that this process starts.
process.env.NODE_COMPILE_CACHE ??= join(cache, 'compile-cache');
if (runsHere()) {
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
  await import(new URL('../dist/apps/cli/main.js', import.meta.url).href);
} else {
  handOver(provideNode());
}
