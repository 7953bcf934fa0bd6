/**
 * An HTTP server that no request can end: it limits what a connection may cost, answers what never becomes a request,
 * refuses what two programs could read differently, and drains without losing an answer.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isPastLast, isPipelined, rememberRequest } from './asked-connection.ts';
import type { Connections } from './connections.ts';
import { createTurns, type Turns } from './in-turns.ts';
import { closeBehind, closeUnreadBehind, isClosing } from './lingering-close.ts';
import { createRefusals, type RefusalOptions, type Refusals } from './refused-request.ts';
import { RequestError } from './request-error.ts';
import { frameFault } from './request-frame.ts';
import { createServerDrain, type ServerDrain } from './server-drain.ts';

/** Milliseconds and bytes. With Node's defaults a client can hold a connection for five minutes. */
const LIMITS = Object.freeze({
  headersTimeout: 5_000,
  requestTimeout: 7_000,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 8_192,
  /** How often Node checks the two timeouts above. */
  connectionsCheckingInterval: 500,
  /** Node's own answer has no body; request-frame.ts checks instead. */
  requireHostHeader: false,
});

export interface HttpServerOptions extends RefusalOptions {
  /** Answers a request whose frame is sound. If it throws or rejects, the server answers `internal_error`. */
  answer(incoming: IncomingMessage, outgoing: ServerResponse): void | Promise<void>;
  /** Receives what `answer` threw, for the log. */
  onFault(error: unknown, url: string): void;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Limits how many connections the server keeps. */
  readonly connections: Connections;
}

export interface HttpServer extends Pick<ServerDrain, 'listenOn' | 'close'> {
  readonly port: number;
}

/** Rejects with Node's error where the server cannot listen on the address. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { host, port, connections } = options;
  const turns = createTurns();
  const refusals = createRefusals(options);
  const answer = createAnswering(options, refusals, turns);
  const server = createServer(LIMITS, (incoming, outgoing) => {
    const { socket } = incoming;
    if (isClosing(socket) || isPastLast(socket)) return;
    if (rememberRequest(incoming, outgoing)) closeUnreadBehind(outgoing, socket);
    else if (drain.isLeaving) closeBehind(outgoing, socket);
    const fault = frameFault(incoming);
    if (fault) refusals.request(fault, incoming, outgoing);
    else answer(incoming, outgoing);
  });
  const drain = createServerDrain(server);
  connections.keep(server);
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const refuse = () => refusals.malformed(error, socket, LIMITS.maxHeaderSize);
    // Timeouts come by the thousand. Other errors come one by one, and the rest of their connection must not be read.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') turns.add(refuse);
    else refuse();
  });
  server.on('checkExpectation', refusals.expectation);
  server.on('connect', refusals.tunnel);
  await listen(server, host, port);
  // A connection could not be accepted, as without a free file descriptor: readiness reports that (connections.ts).
  server.on('error', () => {});
  return { port: (server.address() as AddressInfo).port, listenOn: drain.listenOn, close: drain.close };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

type Answering = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/**
 * Begins pipelined requests a few in each turn of the event loop: one read of one connection may ask for many megabytes,
 * and twenty such reads at once would take a quarter of a second.
 */
function createAnswering({ answer, onFault }: HttpServerOptions, refusals: Refusals, turns: Turns): Answering {
  async function begin(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      await answer(incoming, outgoing);
    } catch (error) {
      onFault(error, incoming.url ?? '');
      if (outgoing.headersSent) outgoing.destroy();
      else refusals.request(unexpected(error), incoming, outgoing);
    }
  }
  return (incoming, outgoing) => {
    const { socket } = incoming;
    if (!isPipelined(socket)) void begin(incoming, outgoing);
    else turns.add(() => socket.destroyed || void begin(incoming, outgoing));
  };
}

/** Shows nothing of the error: its text may name hosts, tables or values. */
function unexpected(cause: unknown): RequestError {
  return new RequestError('internal_error', 'The service met an error that it did not expect.', {
    remedy: "repeat the request; if that does not help, look in the service's log",
    cause,
  });
}
