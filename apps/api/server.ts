/**
 * The HTTP server under the application: limits on what a connection may cost, problem documents also for what never
 * becomes a request, and an end that loses nobody's answer.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener, RequestError as UnreadableRequest } from '@hono/node-server';
import { isPastLast, isPipelined, rememberRequest } from './asked-connection.ts';
import { connectionLimit } from './connection-limit.ts';
import { type Connections, createConnections } from './connections.ts';
import { RequestError } from './http/request-error.ts';
import { frameFault } from './http/request-frame.ts';
import { createTurns, type Turns } from './in-turns.ts';
import { closeBehind, closeUnreadBehind, isClosing } from './lingering-close.ts';
import { problemResponse, toProblem } from './problem.ts';
import { refuseExpectation, refuseMalformed, refuseRequest, refuseTunnel } from './refused-request.ts';
import { createServerDrain, type ServerDrain } from './server-drain.ts';

/** Milliseconds and bytes. Node's own defaults would let a client hold a connection for five minutes. */
const LIMITS = Object.freeze({
  headersTimeout: 5_000,
  requestTimeout: 7_000,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 8_192,
  /** How often the two timeouts above are looked at. */
  connectionsCheckingInterval: 500,
  /** Node's own answer has no body; request-frame.ts looks. */
  requireHostHeader: false,
});

export interface ServerOptions {
  fetch(request: Request): Response | Promise<Response>;
  /** Is shown each request first; false: it is left to `fetch`. */
  direct?(incoming: IncomingMessage, outgoing: ServerResponse): boolean;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Which are kept; default: as many as the process has files for. */
  readonly connections?: Connections;
}

export interface RunningServer extends Pick<ServerDrain, 'listenOn' | 'close'> {
  readonly url: string;
  readonly port: number;
}

/** Rejects where the address cannot be listened on. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host, port, connections = createConnections({ most: connectionLimit() }) } = options;
  const turns = createTurns();
  const answer = createAnswering(options, turns);
  const server = createServer(LIMITS, (incoming, outgoing) => {
    const { socket } = incoming;
    if (isClosing(socket) || isPastLast(socket)) return;
    if (rememberRequest(incoming, outgoing)) closeUnreadBehind(outgoing, socket);
    else if (drain.isLeaving) closeBehind(outgoing, socket);
    const fault = frameFault(incoming);
    if (fault) refuseRequest(fault, incoming, outgoing);
    else answer(incoming, outgoing);
  });
  const drain = createServerDrain(server);
  connections.keep(server);
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const refuse = () => refuseMalformed(error, socket, LIMITS.maxHeaderSize);
    // Whose time is over comes by the thousand; the others one by one, and what follows on theirs must not be read.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') turns.add(refuse);
    else refuse();
  });
  server.on('checkExpectation', refuseExpectation);
  server.on('connect', refuseTunnel);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(describeListenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    port: address.port,
    listenOn: drain.listenOn,
    close: drain.close,
  };
}

type Answering = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/**
 * Those of a connection that come behind another are begun with all their like, a few in each turn: what is read of one
 * connection at once may be asking for many megabytes, and of twenty such at once for a quarter of a second's writing.
 */
function createAnswering({ fetch, direct = () => false }: ServerOptions, turns: Turns): Answering {
  const listen = getRequestListener(fetch, { errorHandler: refuseUnreadable });
  const begin: Answering = (incoming, outgoing) => {
    if (!direct(incoming, outgoing)) void listen(incoming, outgoing);
  };
  return (incoming, outgoing) => {
    const { socket } = incoming;
    if (!isPipelined(socket)) begin(incoming, outgoing);
    else turns.add(() => socket.destroyed || begin(incoming, outgoing));
  };
}

/** Of what Hono's adapter makes no Request: a Host or a path that no URL can have. */
function refuseUnreadable(error: unknown): Response {
  if (!(error instanceof UnreadableRequest)) return problemResponse(toProblem(error));
  return problemResponse(
    toProblem(
      new RequestError('malformed_request', "The request's Host and path make no URL.", {
        remedy: 'send a Host, and a path that begins with / and is percent-encoded',
        cause: error,
      }),
    ),
  );
}

function describeListenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new Error(`Port ${port} of ${host} is in use; set PORT to another one, or stop what listens there.`, {
      cause: error,
    });
  }
  return new Error(`Cannot listen on ${host} port ${port} (${error.code ?? error.message}); set HOST and PORT.`, {
    cause: error,
  });
}
