/** An application that uses the client without this repository: a folder with the published package, and a real API. */
import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createCheckoutApi } from '../../../apps/api/checkout.fixture.ts';
import { startServer } from '../../../apps/api/server.ts';

const run = promisify(execFile);
export const root = join(import.meta.dirname, '../../..');

export interface Application {
  readonly folder: string;
  /** The address of the API. */
  readonly url: string;
  /** An address that accepts connections and never answers. */
  readonly silentUrl: string;
  close(): Promise<void>;
}

export async function createApplication(): Promise<Application> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-application-'));
  await run(process.execPath, [join(root, 'scripts/packages/main.ts')]);
  await cp(join(root, '.tandem/packages/client'), join(folder, 'node_modules/@tandem/client'), { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  for (const name of ['consumer.mjs', 'program.mjs', 'worker.mjs']) {
    await copyFile(join(import.meta.dirname, name), join(folder, name));
  }
  const silent = await startSilentServer();
  const api = await createCheckoutApi();
  const http = await startServer({ host: '127.0.0.1', port: 0, fetch: api.app.fetch });
  return {
    folder,
    url: `http://127.0.0.1:${http.port}`,
    silentUrl: `http://127.0.0.1:${silent.port}`,
    async close() {
      silent.close();
      await http.close(0);
      await api.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Returns the path of a program in an npm package, or the reason why npm cannot install the package here. */
export async function installProgram(name: string, specifier: string, program: string) {
  const home = join(root, '.tandem/clients', name.toLowerCase().replace(' ', '-'));
  await mkdir(home, { recursive: true });
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--loglevel=error'];
  return run('npm', ['install', '--prefix', home, ...flags, specifier]).then(
    () => ({ path: join(home, 'node_modules', program), problem: null }),
    ({ message }: Error) => ({ path: null, problem: `${name} cannot be installed here: ${message}` }),
  );
}

async function startSilentServer(): Promise<{ port: number; close(): void }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the silent server has no port');
  return {
    port: address.port,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
