/** The API's HTTP server: the application on libs/http-server. Every rejection is a problem document. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { getRequestListener, RequestError as UnreadableRequest } from '@hono/node-server';
import { problemReply, problemResponse, toProblem } from '@tandem/endpoints/problem';
import type { ExtensionPort, PortAddress, PortHost } from '@tandem/extension/extension';
import { TandemError } from '@tandem/freshness/errors';
import { Connections } from '@tandem/http-server/connections';
import { type HttpServer, startHttpServer } from '@tandem/http-server/server';
import { connectionLimit } from './connection-limit.ts';

interface ServerOptions {
  fetch(request: Request): Response | Promise<Response>;
  /** Receives each request first and returns whether it answers the request. `fetch` answers the others. */
  direct?(incoming: IncomingMessage, outgoing: ServerResponse): boolean;
  /** Receives the errors that answers throw, for the log. */
  onFault?(error: unknown, url: string): void;
  readonly host: string;
  /** The port; 0: any free port. */
  readonly port: number;
  /** Default: as many as the open-file limit of the process allows. */
  readonly connections?: Connections;
  /** Set if another process accepts connections for this process: see ServerDrain. */
  readonly settled?: (() => Promise<unknown>) | undefined;
}

export interface RunningServer extends HttpServer {
  readonly url: string;
}

/** The methods that the endpoints use, for the answer to other methods. */
const METHODS = 'DELETE, GET, HEAD, OPTIONS, POST, PUT';

/** Starts the server. Rejects if it cannot listen on the address. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { fetch, direct = () => false, onFault = () => {}, host, port } = options;
  const { connections = new Connections({ most: connectionLimit() }) } = options;
  const listen = getRequestListener(fetch, { errorHandler: refuseUnreadable });
  const server = await startHttpServer({
    answer: (incoming, outgoing) => (direct(incoming, outgoing) ? undefined : listen(incoming, outgoing)),
    refuse: (error, path) => problemReply(toProblem(error, path)),
    allow: METHODS,
    onFault,
    host,
    port,
    connections,
    settled: options.settled,
  }).catch((error: NodeJS.ErrnoException) => Promise.reject(describeListenError(error, host, port)));
  return { ...server, url: `http://${nameIn(host)}:${server.port}` };
}

/** Rejects a Host or a path from which Hono's adapter cannot make a Request. */
function refuseUnreadable(error: unknown): Response {
  if (!(error instanceof UnreadableRequest)) return problemResponse(toProblem(error));
  return problemResponse(
    toProblem(
      new TandemError('malformed_request', 'The Host and the path of the request do not form a URL.', {
        remedy: 'send a Host header, and a percent-encoded path that begins with /',
        cause: error,
      }),
    ),
  );
}

/**
 * Describes why the server cannot listen, with the remedy.
 * @param setting the environment variable that sets the port
 */
function describeListenError(error: NodeJS.ErrnoException, host: string, port: number, setting = 'PORT'): Error {
  if (error.code === 'EADDRINUSE') {
    return new Error(
      `Port ${port} of ${host} is in use; set ${setting} to another port, or stop the program that listens there.`,
      {
        cause: error,
      },
    );
  }
  return new Error(`Cannot listen on ${host} port ${port} (${error.code ?? error.message}); set HOST and ${setting}.`, {
    cause: error,
  });
}

/** Starts the server of a further port. Rejects if the server cannot listen on the address. */
export async function startPort({ variable, load }: ExtensionPort, app: PortHost, address: PortAddress) {
  const { host, port } = address;
  const { start } = await load();
  const server = await start(app, address).catch((error: NodeJS.ErrnoException) =>
    Promise.reject(describeListenError(error, host, port, variable)),
  );
  return { ...server, url: `${nameIn(host)}:${server.port}` };
}

/** Returns a host as URLs write it. */
function nameIn(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
