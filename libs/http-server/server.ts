/**
 * An HTTP server that no request can crash. It limits the cost of a connection, answers invalid input, rejects requests
 * that two programs could read differently, and drains without losing an answer.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ErrorCode } from '@tandem/freshness/error-codes';
import { TandemError } from '@tandem/freshness/errors';
import {
  closeBehind,
  closeLingering,
  closeUnreadBehind,
  isClosing,
  isPastLast,
  isPipelined,
  lastResponse,
  rememberRequest,
} from './asked-connection.ts';
import type { Connections } from './connections.ts';
import { createTurns, type Turns } from './in-turns.ts';
import { type Reply, replyOn } from './reply.ts';
import { frameFault } from './request-frame.ts';
import { ServerDrain } from './server-drain.ts';

/** Limits in milliseconds and bytes. With Node's defaults, a client can keep a connection for five minutes. */
const LIMITS = Object.freeze({
  headersTimeout: 5_000,
  requestTimeout: 7_000,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 8_192,
  /** The interval in which Node checks the two timeouts above. */
  connectionsCheckingInterval: 500,
  /** This check is off, since Node's own answer has no body. request-frame.ts checks the header instead. */
  requireHostHeader: false,
});

interface HttpServerOptions extends RefusalOptions {
  /** Answers a valid request. If it throws or rejects, the server answers `internal_error`. */
  answer(incoming: IncomingMessage, outgoing: ServerResponse): void | Promise<void>;
  /** Receives the error of `answer`, for the log. */
  onFault(error: unknown, url: string): void;
  readonly host: string;
  /** The port; 0 for any free port. */
  readonly port: number;
  /** Limits the connections of the server. */
  readonly connections: Pick<Connections, 'keep'>;
  /** Set if another process accepts connections for this process: see ServerDrain. */
  readonly settled?: (() => Promise<unknown>) | undefined;
}

export interface HttpServer extends Pick<ServerDrain, 'listenOn' | 'close'> {
  readonly port: number;
}

/** Starts the server. Rejects with Node's error if it cannot listen on the address. */
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
  const drain = new ServerDrain(server, options.settled);
  connections.keep(server);
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const refuse = () => refusals.malformed(error, socket, LIMITS.maxHeaderSize);
    // There may be thousands of timeouts at once, so they are handled in turns. Other errors are rare, and the rest of
    // their connection must not be read.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') turns.add(refuse);
    else refuse();
  });
  server.on('checkExpectation', refusals.expectation);
  server.on('connect', refusals.tunnel);
  await once(server.listen(port, host), 'listening');
  // A connection could not be accepted, for example without a free file descriptor. Readiness reports it
  // (connections.ts).
  server.on('error', () => {});
  return {
    port: (server.address() as AddressInfo).port,
    listenOn: (time) => drain.listenOn(time),
    close: (graceMs) => drain.close(graceMs),
  };
}

type Answering = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/**
 * Begins a few pipelined requests in each turn of the event loop. The pipelined requests of one read may request many
 * megabytes, and twenty such reads at once would block for a quarter of a second.
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

/** Returns an answer without details of the error, since its text may name hosts, tables or values. */
function unexpected(cause: unknown): TandemError {
  return new TandemError('internal_error', 'The service failed with an unexpected error.', {
    remedy: "retry the request; if it fails again, see the service's log",
    cause,
  });
}

/**
 * Options of the answers to input that never reaches the application: input that the parser rejects, upgrades to
 * another protocol, and requests that HTTP does not allow. Node's own answers to these are empty.
 */
interface RefusalOptions {
  /**
   * Renders an error in the server's own format.
   * @param path the path of the request, if it has one
   */
  refuse(error: TandemError, path?: string): Reply;
  /** The methods of all paths, for the `Allow` header of a rejected CONNECT. */
  readonly allow: string;
}

type Refusals = ReturnType<typeof createRefusals>;

function createRefusals({ refuse, allow }: RefusalOptions) {
  function request(error: TandemError, incoming: IncomingMessage, outgoing: ServerResponse): void {
    replyOn(outgoing, refuse(error, pathOf(incoming.url)));
  }

  function malformed(error: NodeJS.ErrnoException, socket: Duplex, maxHeaderBytes: number): void {
    if (isClosing(socket)) return;
    const last = lastResponse(socket);
    // An earlier complete request is still unanswered. If this error were written first, it would be read as that
    // answer.
    if (last?.req.complete && !last.writableFinished && !last.destroyed) {
      last.once('close', () => malformed(error, socket, maxHeaderBytes));
      return;
    }
    // The input is the rest of a request that was answered before it was complete. A second answer would be read as the
    // answer to another request.
    const isAnswered = last?.writableFinished && !last.req.complete;
    if (isAnswered || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const { code, text, remedy } = clientErrorKind(error.code, maxHeaderBytes);
    endWith(refuse(new TandemError(code, text, { remedy })), socket);
  }

  return {
    /** Answers a request with an error. */
    request,
    /** Answers input that the parser rejected. There is no request, only a socket to write to. */
    malformed,
    /** Answers an `Expect` header other than `100-continue` (RFC 9110, 10.1.1). Node itself handles `100-continue`. */
    expectation: (incoming: IncomingMessage, outgoing: ServerResponse) =>
      request(unknownExpectation(), incoming, outgoing),
    /** Answers CONNECT, for which Node passes the socket instead of a response. */
    tunnel: (_: IncomingMessage, socket: Duplex) => endWith(refuse(noProxy(allow)), socket),
  };
}

function unknownExpectation(): TandemError {
  return new TandemError('malformed_request', 'The Expect header requests an unsupported behaviour.', {
    field: 'Expect',
    remedy: 'leave it out, or send 100-continue',
    headers: { connection: 'close' },
  });
}

function noProxy(allow: string): TandemError {
  return new TandemError('method_not_allowed', 'This service is not a proxy.', {
    remedy: 'send the request directly to this address, without CONNECT',
    headers: { allow },
  });
}

function endWith({ status, headers, body }: Reply, socket: Duplex): void {
  const fields = Object.entries({ ...headers, 'content-length': Buffer.byteLength(body ?? ''), connection: 'close' });
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  // A reset by the client is not an error of this process.
  socket.on('error', () => socket.destroy());
  closeLingering(socket, `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${body ?? ''}`);
}

interface ClientErrorKind {
  readonly code: ErrorCode;
  readonly text: string;
  readonly remedy: string;
}

function clientErrorKind(code: string | undefined, maxHeaderBytes: number): ClientErrorKind {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return {
        code: 'headers_too_large',
        text: `The request's headers have more than ${maxHeaderBytes} bytes.`,
        remedy: 'send fewer or shorter headers, or a shorter path',
      };
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return { code: 'body_too_large', text: 'The chunk extensions are too large.', remedy: 'send none' };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return {
        code: 'request_timeout',
        text: 'The request did not arrive in time.',
        remedy: 'send it again, without pauses',
      };
    case 'HPE_INVALID_METHOD':
      return {
        code: 'malformed_request',
        text: 'The HTTP method is unknown.',
        remedy: 'send GET, POST or another of RFC 9110',
      };
    default:
      return {
        code: 'malformed_request',
        text: 'This is not HTTP/1.1.',
        remedy: 'send the request with an HTTP client, and check proxies between it and this service',
      };
  }
}

/** Returns the path, since a request target need not be a path. */
function pathOf(url = ''): string | undefined {
  return url.startsWith('/') ? url.replace(/[?#].*$/s, '') : undefined;
}
