/** Runs docker-compose.yml as a separate project, with its own name and port, and volumes that the test removes. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { findFreePort } from '@tandem/local-servers/ports';

export interface ComposeProject {
  readonly url: string;
  /**
   * Runs `docker compose <args>` for this project and returns its output. Rejects with the output if the command fails.
   */
  compose(...args: readonly string[]): Promise<string>;
  /** Runs `up --wait <args>`. If it fails, rejects with the last log lines of the containers. */
  up(...args: readonly string[]): Promise<void>;
  /** Returns the ids of the containers of some services, or of all services, including ended containers. */
  containers(...services: readonly string[]): Promise<string[]>;
  inspect(id: string): Promise<Inspected>;
  /** Returns the same project with other compose files and variables. */
  with(files: readonly string[], environment: Readonly<Record<string, string>>): ComposeProject;
  /** Removes everything that belongs to the project, including volumes. */
  remove(): Promise<void>;
}

/** The fields of `docker inspect` that these tests read. */
export interface Inspected {
  readonly Name: string;
  readonly State: {
    readonly Status: string;
    readonly ExitCode: number;
    readonly Health?: { readonly Status: string };
  };
  readonly Config: { readonly User: string };
  readonly HostConfig: {
    readonly ReadonlyRootfs: boolean;
    readonly CapDrop: readonly string[] | null;
    readonly Privileged: boolean;
    readonly SecurityOpt: readonly string[] | null;
  };
  readonly NetworkSettings: {
    readonly Ports: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[] | null>> | null;
  };
}

export const root = resolve(import.meta.dirname, '../..');

export async function createComposeProject(): Promise<ComposeProject> {
  const name = `tandem-test-${randomBytes(3).toString('hex')}`;
  return openComposeProject(name, await findFreePort(), ['docker-compose.yml'], {});
}

/** @param files compose files, relative to the project's root */
function openComposeProject(
  name: string,
  port: number,
  files: readonly string[],
  environment: Readonly<Record<string, string>>,
): ComposeProject {
  const env = { ...process.env, ...environment, TANDEM_PORT: String(port) };
  const flags = ['compose', '--project-name', name, ...files.flatMap((file) => ['--file', file])];
  const compose = (...args: readonly string[]) => run('docker', [...flags, ...args], env);
  return {
    url: `http://127.0.0.1:${port}`,
    compose,
    up: async (...args) => {
      try {
        await compose('up', '--wait', '--wait-timeout', '300', ...args);
      } catch (error) {
        throw new Error(`${error}\n${await compose('logs', '--no-color', '--tail', '20')}`);
      }
    },
    containers: async (...services) =>
      (await compose('ps', '--all', '--quiet', ...services)).split('\n').filter(Boolean),
    inspect: async (id) => {
      const [found]: Inspected[] = JSON.parse(await run('docker', ['inspect', id]));
      if (found === undefined) throw new Error(`there is no container ${id}`);
      return found;
    },
    with: (others, variables) => openComposeProject(name, port, others, variables),
    remove: async () => {
      await compose('down', '--volumes', '--timeout', '5');
    },
  };
}

/** Runs a program and returns its standard output. If it fails, rejects with its whole output. */
export async function run(program: string, args: readonly string[], env = process.env): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { cwd: root, env, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(' ')}:\n${stdout}${stderr || String(error)}`);
  }
}
