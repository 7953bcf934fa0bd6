/** A user with only Node and npm: an empty folder, an empty cache, and an account without rights. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { runCommand } from '@tandem/local-servers/run-command';
import { mustRun } from './tools.ts';

/** The unprivileged user and group of most systems. They need no entry in /etc/passwd or /etc/group. */
const ORDINARY = { uid: 65_534, gid: 65_534 };

export interface Newcomer {
  /** The user's folder, which is empty at first. */
  readonly folder: string;
  /** Makes a file in the folder. */
  write(name: string, content: Buffer | string): void;
  /** Runs a command in the folder and returns its output. Rejects if the exit code is not 0. */
  run(program: string, ...args: string[]): Promise<string>;
  /** Starts a command in the folder. */
  start(program: string, ...args: string[]): Running;
  /** Returns the size in megabytes of a folder below the user's home. */
  sizeOf(path: string): Promise<number>;
  /** Returns the folder in which npx stores packages. */
  npxFolder(): string;
  remove(): void;
}

export interface Running {
  /** Returns standard output and standard error so far. */
  output(): string;
  end(signal: NodeJS.Signals): Promise<void>;
}

interface Means {
  readonly registry: string;
  readonly node: string;
  readonly env?: Readonly<Record<string, string>>;
}

export function createNewcomer({ registry, node, env: more = {} }: Means): Newcomer {
  const home = mkdtempSync(join(tmpdir(), 'tandem newcomer-'));
  const [bin, folder] = [join(home, 'bin'), join(home, 'work')];
  for (const one of [bin, folder]) mkdirSync(one);
  installNode(node, bin);
  writeFileSync(join(home, '.npmrc'), `registry=${registry}\nupdate-notifier=false\nloglevel=error\n`);
  const account = process.getuid?.() === 0 ? ORDINARY : null;
  const give = (path: string) => {
    if (account !== null) chownSync(path, account.uid, account.gid);
  };
  for (const path of [home, folder]) give(path);
  const env = { HOME: home, PATH: [bin, '/usr/bin', '/bin'].join(delimiter), ...more };
  const started: ChildProcess[] = [];
  return {
    folder,
    write(name, content) {
      writeFileSync(join(folder, name), content);
      give(join(folder, name));
    },
    run: (program, ...args) => mustRun(program, args, { cwd: folder, env, ...account }),
    start(program, ...args) {
      const child = spawn(program, args, { cwd: folder, env, ...account, detached: true });
      started.push(child);
      return running(child);
    },
    async sizeOf(path) {
      const { stdout } = await runCommand('du', ['-sm', join(home, path)]);
      return Number.parseInt(stdout, 10);
    },
    npxFolder() {
      const [found = ''] = readdirSync(join(home, '.npm/_npx'));
      return join('.npm/_npx', found);
    },
    remove() {
      for (const child of started) if (child.exitCode === null) killGroup(child);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Puts this Node first on the PATH. npm is the machine's npm, which this Node runs. */
function installNode(node: string, bin: string): void {
  cpSync(realpathSync(node), join(bin, 'node'));
  for (const name of ['npm', 'npx']) {
    const program = ['/usr/local/bin', '/usr/bin', ...(process.env.PATH ?? '').split(delimiter)]
      .map((path) => join(path, name))
      .find((path) => realpathOf(path)?.endsWith('-cli.js'));
    if (program === undefined) throw new Error(`there is no ${name} on the PATH`);
    symlinkSync(realpathSync(program), join(bin, name));
  }
}

function realpathOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function running(child: ChildProcess): Running {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    output: () => output,
    async end(signal) {
      child.kill(signal);
      await ended;
    },
  };
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The process has ended.
  }
}
