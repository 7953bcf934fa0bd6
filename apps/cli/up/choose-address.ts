/** Where the API will listen: `--port`, else PORT, else 8080. A taken port is told before anything else is started. */
import { readEnvironment } from '@tandem/config/environment/environment';
import { http } from '@tandem/config/environment/environment-sections';
import { findFreePort, isPortFree } from '@tandem/local-servers/ports';
import { CommandFailure } from '../failure.ts';
import { findPortHolder } from './port-holder.ts';

export interface ApiAddress {
  readonly port: number;
  /** As reached from this machine. */
  readonly url: string;
}

export async function chooseAddress(said: number | undefined, env: Readonly<NodeJS.ProcessEnv>): Promise<ApiAddress> {
  const fromEnvironment = readEnvironment(env, { http }).http;
  const wanted = said ?? fromEnvironment.port;
  // The API could choose by itself, but then nobody would know where it listens.
  const port = wanted === 0 ? await findFreePort() : wanted;
  if (!(await isPortFree(port))) throw taken(port);
  return { port, url: `http://${reachable(fromEnvironment.host)}:${port}` };
}

function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

function taken(port: number): CommandFailure {
  const holder = findPortHolder(port);
  const other = port === 65_535 ? port - 1 : port + 1;
  return new CommandFailure(`port ${port} (PORT) is taken${holder === undefined ? '' : ` by ${holder}`}`, {
    remedy: `end that program, or choose another port: npx tandem up --port ${other}, or PORT=${other} npm start`,
  });
}
