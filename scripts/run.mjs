/**
 * What every npm script goes through: `node scripts/run.mjs <file or bin> [arguments]`.
 *
 * The machine's own Node may be older than what the project needs, and a fresh clone has no packages yet. So this file
 * uses Node's built-ins alone and parses on Node 18: it installs the locked packages where they are missing or differ from
 * the lock, then hands over to the Node that the lock pins.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { constants } from 'node:os';
import { basename, delimiter, dirname, join, resolve } from 'node:path';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const binFolder = join(modules, '.bin');
const stateFolder = join(root, '.tandem');
const pinnedPackage = `node_modules/node-${process.platform}-${process.arch}`;
const pinnedNode = join(root, pinnedPackage, 'bin/node');
/** Line 1: the installed state. Line 2: the Node in use, `pinned` or `host`. */
const markerFile = join(modules, '.tandem-lock-hash');
/** The first version that runs TypeScript without a flag. */
const oldestHostNode = [22, 18];

function say(text) {
  process.stderr.write(`tandem: ${text}\n`);
}

function fail(text, code = 1) {
  say(text);
  process.exit(code);
}

function readText(path) {
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

/** Names the lock's content and the platform: modification times say nothing after a clone or a checkout. */
function wantedInstall() {
  const lock = readText(join(root, 'package-lock.json'));
  if (lock === undefined) fail(`${join(root, 'package-lock.json')} cannot be read. Is this a complete clone?`);
  return `${createHash('sha256').update(lock).digest('hex')} ${process.platform}-${process.arch}`;
}

function readMarker() {
  const [installed, node] = (readText(markerFile) ?? '').split('\n');
  return { installed, node };
}

/**
 * Returns whether a manual npm run left the state of the lock; a second install would only cost time. Optional packages
 * may be absent (other platforms), except the pinned Node of this one.
 */
function installedByHand() {
  const locked = readJson(join(root, 'package-lock.json'))?.packages;
  const found = readJson(join(modules, '.package-lock.json'))?.packages;
  if (!locked || !found) return false;
  return Object.entries(locked).every(([path, wanted]) => {
    if (!path.startsWith('node_modules/')) return true;
    const present = found[path];
    if (!present) return wanted.optional === true && path !== pinnedPackage;
    return present.version === wanted.version && present.integrity === wanted.integrity;
  });
}

/** Alive, and the same process as then: on Linux the start time tells a reused process id from the claim's owner. */
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

/** The live claims of other processes on the install; those of dead ones are removed. */
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
 * Makes a claim, then looks for others, and backs off if there is one: of two claims at least one side sees the other,
 * so two installs never run at once, and no process has to break a lock.
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
      if (!said) say('another start is installing the packages: waiting for it');
      said = true;
      await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 300));
    }
  } catch (error) {
    return fail(`${folder} cannot be written (${error.message}). ${remedies.permission}`);
  }
}

const remedies = {
  permission: `Give the folder to the user who runs this: chown -R "$(id -un)" "${root}"; or clone it where you may write.`,
  network:
    'The package registry did not answer: check the network, the proxy and `npm config get registry`, then start again.',
  disk: `The disk is full: the packages need about 1 GB in ${root}.`,
  lock: 'package.json and package-lock.json disagree: take both from the same commit, or run npm install.',
  other: "npm's own words are above; mend that, then start again.",
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

/** The npm that called us, else the one on the path. Other package managers set the same variable to themselves. */
function npmCommand() {
  const caller = process.env.npm_execpath ?? '';
  return /^npm-cli\.c?js$/.test(basename(caller)) ? [process.execPath, caller] : ['npm'];
}

function npmEnvironment() {
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  // Set by `npm run -w <workspace>`; it would install that workspace alone.
  for (const name of Object.keys(env)) if (/^npm_config_workspaces?$/i.test(name)) delete env[name];
  return env;
}

function runNpmCi() {
  // A personal `omit`, NODE_ENV=production or `ignore-scripts` would leave out the pinned Node or Postgres' libraries.
  const flags = [
    '--include=dev',
    '--include=optional',
    '--ignore-scripts=false',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  const [program, ...before] = npmCommand();
  const child = spawn(program, [...before, 'ci', ...flags], {
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

/** Returns the function that ends the forwarding and tells which signal came last, if one did. */
function forwardSignals(child) {
  let last;
  const listeners = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'].map((signal) => {
    const listener = () => {
      last = signal;
      // Ctrl-C goes to the whole foreground group: the child has it already, and a second one means "at once" to it.
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

/** npm 9 and 10 leave `.bin/node` out when two optional packages offer it; scripts with a `node` first line need it. */
function linkPinnedNode() {
  const link = join(binFolder, 'node');
  if (!fs.existsSync(pinnedNode) || fs.existsSync(link)) return;
  try {
    fs.mkdirSync(binFolder, { recursive: true });
    fs.rmSync(link, { force: true });
    fs.symlinkSync(join('..', `node-${process.platform}-${process.arch}`, 'bin/node'), link);
  } catch {
    // Another start made it, or the folder is read-only: PATH leads to the pinned Node too.
  }
}

/** Asked once per install: the pinned Node needs glibc, and a system such as Alpine has another C library. */
function writeMarker(installed) {
  const runs = fs.existsSync(pinnedNode) && spawnSync(pinnedNode, ['--version'], { stdio: 'ignore' }).status === 0;
  try {
    fs.writeFileSync(markerFile, `${installed}\n${runs ? 'pinned' : 'host'}\n`);
  } catch {
    // A read-only installation of another user: the question is asked again at the next start.
  }
}

async function installPackages() {
  const wanted = wantedInstall();
  if (readMarker().installed === wanted) return;
  if (installedByHand()) return writeMarker(wanted);
  const release = await claimInstall();
  process.on('exit', release);
  if (readMarker().installed !== wanted) {
    const began = Date.now();
    say('installing the locked packages with npm ci (about 1 GB, once; a minute or so)');
    const { code, stoppedBy, output } = await runNpmCi();
    if (stoppedBy) process.exit(128 + constants.signals[stoppedBy]);
    if (code !== 0) fail(`npm ci failed in ${root} (code ${code}). ${remedyFor(output)}`, code ?? 1);
    writeMarker(wanted);
    say(`packages installed in ${Math.round((Date.now() - began) / 1000)} s`);
  }
  release();
}

/** The path of the Node to hand over to. */
function chooseNode() {
  const node = readMarker().node ?? (fs.existsSync(pinnedNode) ? 'pinned' : 'host');
  if (node === 'pinned' && fs.existsSync(pinnedNode)) return pinnedNode;
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > oldestHostNode[0] || (major === oldestHostNode[0] && minor >= oldestHostNode[1])) return process.execPath;
  const wanted = (readText(join(root, '.node-version')) ?? '').trim();
  return fail(
    `no pinned Node for ${process.platform}-${process.arch} runs here, and this machine's own is ${process.version}. ` +
      `Install Node ${wanted} (${oldestHostNode.join('.')} is the oldest that works), put it first on the PATH, start again.`,
  );
}

function handOver(node, [command, ...args]) {
  const isScript = /\.(ts|mts|mjs|js)$/.test(command);
  const file = isScript ? node : join(binFolder, command);
  if (!isScript && !fs.existsSync(file)) fail(`there is no command ${command} in ${binFolder}`, 127);
  const argv = isScript ? [resolve(root, command), ...args] : args;
  const env = {
    NODE_COMPILE_CACHE: join(stateFolder, 'compile-cache'),
    ...process.env,
    PATH: [dirname(node), binFolder, process.env.PATH].join(delimiter),
  };
  // Node 22.15 and newer can become the program: no process stands between it and its signals.
  if (typeof process.execve === 'function') process.execve(file, [file, ...argv], env);
  const child = spawn(file, argv, { stdio: 'inherit', env });
  const end = forwardSignals(child);
  child.on('error', (error) => fail(`${file} cannot be run: ${error.message}`, 127));
  child.on('exit', (code, signal) => {
    end();
    if (signal) process.kill(process.pid, signal);
    else process.exit(code ?? 1);
  });
}

const command = process.argv.slice(2);
if (command.length === 0) fail('usage: node scripts/run.mjs <file or command of node_modules/.bin> [arguments]', 2);
await installPackages();
linkPinnedNode();
handOver(chooseNode(), command);
