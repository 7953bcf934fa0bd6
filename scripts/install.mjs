/**
 * Installs the locked packages if they are missing or differ from the lock file. It runs before any package is
 * installed, so it uses only Node's built-in modules and syntax that Node 18 can parse.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
export const binFolder = join(modules, '.bin');
export const stateFolder = join(root, '.tandem');
const platform = `${process.platform}-${process.arch}`;
const pinnedPackage = `node_modules/node-${platform}`;
export const pinnedNode = join(root, pinnedPackage, 'bin/node');
/** Line 1: the hash of the installed lock file. Line 2: which Node runs here, `pinned` or `host`. Line 3: `serve`, or `all` with the tools. */
const markerFile = join(modules, '.tandem-lock-hash');

function say(text) {
  process.stderr.write(`tandem: ${text}\n`);
}

export function fail(text, code = 1) {
  say(text);
  process.exit(code);
}

export function readText(path) {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function readJson(path) {
  try {
    return JSON.parse(readText(path) ?? '');
  } catch {
    return undefined;
  }
}

/** Returns a hash of the lock file and the platform. Modification times are useless after a clone or a checkout. */
function wantedInstall() {
  const lock = readText(join(root, 'package-lock.json'));
  if (lock === undefined) fail(`${join(root, 'package-lock.json')} cannot be read. Is this a complete clone?`);
  return `${createHash('sha256').update(lock).digest('hex')} ${platform}`;
}

export function readMarker() {
  const [installed, node, scope = 'all'] = (readText(markerFile) ?? '').trim().split('\n');
  return { installed, node, scope };
}

/** @param scope `serve`: development tools may be missing; `all`: no package may be missing */
function isInstalled(wanted, scope) {
  const marker = readMarker();
  return marker.installed === wanted && (marker.scope === 'all' || scope === 'serve');
}

/**
 * Returns true if npm was run by hand and the packages match the lock file, so that no second install is needed.
 * Optional packages may be absent (other platforms), except the pinned Node of this platform.
 */
function installedByHand(scope) {
  const locked = readJson(join(root, 'package-lock.json'))?.packages;
  const found = readJson(join(modules, '.package-lock.json'))?.packages;
  if (!locked || !found) return false;
  return Object.entries(locked).every(([path, wanted]) => {
    if (!path.startsWith('node_modules/')) return true;
    const present = found[path];
    if (!present && wanted.dev && scope === 'serve') return true;
    if (!present) return wanted.optional === true && path !== pinnedPackage;
    return present.version === wanted.version && present.integrity === wanted.integrity;
  });
}

/** Returns the start time of a process on Linux, which distinguishes a reused process id from the claim's owner. */
function startedAt(pid) {
  const stat = readText(`/proc/${pid}/stat`);
  return stat === undefined ? '' : stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function isOwnerAlive({ pid, started }) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code !== 'EPERM') return false;
  }
  return startedAt(pid) === started;
}

/** Returns the claims of other running processes on the install, and removes the claims of ended processes. */
function otherClaims(folder, own) {
  return fs.readdirSync(folder).filter((name) => {
    if (name === own || !name.endsWith('.json')) return false;
    const claim = readJson(join(folder, name));
    if (claim && isOwnerAlive(claim)) return true;
    fs.rmSync(join(folder, name), { force: true });
    return false;
  });
}

/**
 * Writes a claim file, then looks for claims of other processes, and backs off if there is one. Of two processes at
 * least one sees the other's claim, so two installs never run at once, and no process removes the lock of another.
 */
async function claimInstall() {
  const folder = join(stateFolder, 'install');
  const own = `${randomUUID()}.json`;
  let said = false;
  try {
    fs.mkdirSync(folder, { recursive: true });
    for (;;) {
      fs.writeFileSync(
        join(folder, `${own}.new`),
        JSON.stringify({ pid: process.pid, started: startedAt(process.pid) }),
      );
      fs.renameSync(join(folder, `${own}.new`), join(folder, own));
      if (otherClaims(folder, own).length === 0) return () => fs.rmSync(join(folder, own), { force: true });
      fs.rmSync(join(folder, own), { force: true });
      if (!said) say('another process is installing the packages; waiting for it to end');
      said = true;
      await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 300));
    }
  } catch (error) {
    return fail(`${folder} cannot be written (${error.message}). ${remedies.permission}`);
  }
}

const remedies = {
  permission: `Change the owner of the folder: chown -R "$(id -un)" "${root}"; or clone the repository where you may write.`,
  network:
    'The package registry did not answer: check the network, the proxy and `npm config get registry`, then start again.',
  disk: `The disk is full: npm needs 0.9 GB in ${root} during the install, and 0.55 GB after it.`,
  lock: 'package.json and package-lock.json disagree: take both from the same commit, or run npm install.',
  other: 'The message of npm is above: fix the cause, then start again.',
};

function remedyFor(output) {
  if (/\b(EACCES|EPERM|EROFS)\b/.test(output)) return remedies.permission;
  if (/\bENOSPC\b/.test(output)) return remedies.disk;
  if (
    /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED|ERR_SOCKET_TIMEOUT)\b/.test(output)
  ) {
    return remedies.network;
  }
  return /in sync|EUSAGE/.test(output) ? remedies.lock : remedies.other;
}

/** Returns the npm that called this script, or the npm on the PATH. Other package managers set the same variable. */
function npmCommand() {
  const caller = process.env.npm_execpath ?? '';
  return /^npm-cli\.c?js$/.test(basename(caller)) ? [process.execPath, caller] : ['npm'];
}

function npmEnvironment() {
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  // `npm run -w <workspace>` sets it, and npm would then install only that workspace.
  for (const name of Object.keys(env)) if (/^npm_config_workspaces?$/i.test(name)) delete env[name];
  return env;
}

/**
 * Returns the arguments for npm. `npm ci` replaces all packages. If only the tools are missing, `npm install` adds
 * them, so that a running `npm start` keeps its files.
 */
function npmArguments(scope, isPartial) {
  // A personal `omit`, NODE_ENV=production or `ignore-scripts` would leave out the pinned Node or the tools.
  const tools = scope === 'all' ? '--include=dev' : '--omit=dev';
  const flags = [tools, '--include=optional', '--ignore-scripts=false', '--no-audit', '--no-fund', '--loglevel=error'];
  return isPartial ? ['install', '--no-save', ...flags] : ['ci', ...flags];
}

function runNpm(args) {
  const [program, ...before] = npmCommand();
  const child = spawn(program, [...before, ...args], {
    cwd: root,
    env: npmEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output = (output + chunk).slice(-20_000);
      process.stderr.write(chunk);
    });
  }
  const end = forwardSignals(child);
  return new Promise((resolve) => {
    child.on('error', (error) => {
      say(`${error.message}: is npm on the PATH?`);
      resolve({ code: 127, stoppedBy: end(), output });
    });
    child.on('close', (code) => resolve({ code, stoppedBy: end(), output }));
  });
}

/** Forwards signals to the child. Returns a function that ends the forwarding and returns the last signal, if any. */
export function forwardSignals(child) {
  let last;
  const listeners = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'].map((signal) => {
    const listener = () => {
      last = signal;
      // Ctrl-C goes to the whole foreground group, so the child has it already. A second signal would end it at once.
      const fromTerminal = isatty(0) && (signal === 'SIGINT' || signal === 'SIGQUIT');
      if (!fromTerminal) child.kill(signal);
    };
    process.on(signal, listener);
    return () => process.off(signal, listener);
  });
  return () => {
    for (const remove of listeners) remove();
    return last;
  };
}

/**
 * Creates `.bin/node`, which scripts with a `node` first line need. npm 9 and 10 omit it if two optional packages offer
 * it.
 */
export function linkPinnedNode() {
  const link = join(binFolder, 'node');
  if (!fs.existsSync(pinnedNode) || fs.existsSync(link)) return;
  try {
    fs.mkdirSync(binFolder, { recursive: true });
    fs.rmSync(link, { force: true });
    fs.symlinkSync(join('..', `node-${process.platform}-${process.arch}`, 'bin/node'), link);
  } catch {
    // Another start created the link, or the folder is read-only. The pinned Node is on the PATH as well.
  }
}

/**
 * Writes the marker file. Tries the pinned Node once per install, because it needs glibc, which Alpine does not have.
 */
function writeMarker(installed, scope) {
  const runs = fs.existsSync(pinnedNode) && spawnSync(pinnedNode, ['--version'], { stdio: 'ignore' }).status === 0;
  try {
    fs.writeFileSync(markerFile, `${installed}\n${runs ? 'pinned' : 'host'}\n${scope}\n`);
  } catch {
    // The installation is another user's and read-only, so the next start checks again.
  }
}

/** Removes files that are not needed: ONNX Runtime's files for other platforms (240 MB) and Node's headers (67 MB). */
function removeUnused() {
  const programs = join(modules, 'onnxruntime-node/bin/napi-v6');
  for (const system of fs.existsSync(programs) ? fs.readdirSync(programs) : []) {
    for (const processor of fs.readdirSync(join(programs, system))) {
      if (`${system}-${processor}` === platform) continue;
      fs.rmSync(join(programs, system, processor), { recursive: true, force: true });
    }
  }
  fs.rmSync(join(root, pinnedPackage, 'include'), { recursive: true, force: true });
}

/** @param scope `serve`: the packages of `npm start`; `all`: also the development tools */
export async function installPackages(scope) {
  const wanted = wantedInstall();
  if (isInstalled(wanted, scope)) return;
  for (const present of ['all', 'serve']) {
    if ((present === 'all' || scope === 'serve') && installedByHand(present)) return writeMarker(wanted, present);
  }
  const release = await claimInstall();
  process.on('exit', release);
  if (!isInstalled(wanted, scope)) {
    const began = Date.now();
    const isPartial = isInstalled(wanted, 'serve');
    const size = scope === 'all' ? '0.55 GB' : '0.3 GB';
    say(`installing the locked packages with npm (${size}, once; a minute or so)`);
    const args = npmArguments(scope, isPartial);
    const { code, stoppedBy, output } = await runNpm(args);
    if (stoppedBy) process.exit(128 + constants.signals[stoppedBy]);
    if (code !== 0) fail(`npm ${args[0]} failed in ${root} (code ${code}). ${remedyFor(output)}`, code ?? 1);
    removeUnused();
    writeMarker(wanted, scope);
    say(`packages installed in ${Math.round((Date.now() - began) / 1000)} s`);
  }
  release();
}
