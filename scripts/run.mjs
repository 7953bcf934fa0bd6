/**
 * Runs every npm script: `node scripts/run.mjs <file or bin> [arguments]`.
 *
 * The machine's Node may be older than the project needs, and a fresh clone has no packages. So this file uses only
 * Node's built-in modules and syntax that Node 18 can parse. It installs the locked packages, then starts the pinned
 * Node. The apps run without development tools, which are installed when another script first needs them.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import {
  binFolder,
  fail,
  forwardSignals,
  installPackages,
  linkPinnedNode,
  pinnedNode,
  readMarker,
  readText,
  root,
  stateFolder,
} from './install.mjs';

/** The first version that runs TypeScript without a flag. */
const oldestHostNode = [22, 18];

/** Returns the path of the Node that runs the script. */
function chooseNode() {
  const node = readMarker().node ?? (fs.existsSync(pinnedNode) ? 'pinned' : 'host');
  if (node === 'pinned' && fs.existsSync(pinnedNode)) return pinnedNode;
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > oldestHostNode[0] || (major === oldestHostNode[0] && minor >= oldestHostNode[1])) return process.execPath;
  const wanted = (readText(join(root, '.node-version')) ?? '').trim();
  return fail(
    `the pinned Node for ${process.platform}-${process.arch} does not run here, and Node ${process.version} is too old. ` +
      `Install Node ${wanted} (at least ${oldestHostNode.join('.')}), put it first on the PATH, and start again.`,
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
  // Node 22.15 and newer can replace itself by the program, which then gets signals directly.
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
await installPackages(command[0].startsWith('apps/') ? 'serve' : 'all');
linkPinnedNode();
handOver(chooseNode(), command);
