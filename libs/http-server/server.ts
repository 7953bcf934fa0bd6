/**
 * An HTTP server that no request can end: it limits what a connection may cost, answers what never becomes a request,
 * refuses what two programs could read differently, and drains without losing an answer.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
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
import { RequestError, type RequestErrorCode } from './request-error.ts';
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

interface HttpServerOptions extends RefusalOptions {
  /** Answers a request whose frame is sound. If it throws or rejects, the server answers `internal_error`. */
  answer(incoming: IncomingMessage, outgoing: ServerResponse): void | Promise<void>;
  /** Receives what `answer` threw, for the log. */
  onFault(error: unknown, url: string): void;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Limits how many connections the server keeps. */
  readonly connections: Connections;
  /** Where another process accepts connections for this one: see createServerDrain. */
  readonly settled?: (() => Promise<unknown>) | undefined;
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
  const drain = createServerDrain(server, options.settled);
  connections.keep(server);
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const refuse = () => refusals.malformed(error, socket, LIMITS.maxHeaderSize);
    // Timeouts may come by the thousand. Other errors are rare, and the rest of their connection must not be read.
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
 * Begins pipelined requests a few in each turn of the event loop: the pipelined requests of one read may request many
 * megabytes, and twenty such reads at once would take a quarter of a second.
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
  return new RequestError('internal_error', 'The service failed with an unexpected error.', {
    remedy: "repeat the request; if that does not help, look in the service's log",
    cause,
  });
}

/**
 * Answers input that never becomes a request of the application: input that the parser refuses, upgrades to another
 * protocol, and requests that HTTP does not allow. Node's own answers to these are empty.
 */
interface RefusalOptions {
  /** Renders a refusal in the server's own format. @param path of the request, where it has one */
  refuse(error: RequestError, path?: string): Reply;
  /** The methods of all paths, for the `Allow` header of a refused CONNECT. */
  readonly allow: string;
}

interface Refusals {
  /** Answers a request with an error. */
  request(error: RequestError, incoming: IncomingMessage, outgoing: ServerResponse): void;
  /** Answers an `Expect` other than `100-continue`, which Node handles itself (RFC 9110, 10.1.1). */
  expectation(incoming: IncomingMessage, outgoing: ServerResponse): void;
  /** Answers CONNECT, for which Node passes the socket and no response. */
  tunnel(incoming: IncomingMessage, socket: Duplex): void;
  /** Answers what the parser refused: there is no request, only a socket to write to. */
  malformed(error: NodeJS.ErrnoException, socket: Duplex, maxHeaderBytes: number): void;
}

function createRefusals({ refuse, allow }: RefusalOptions): Refusals {
  function request(error: RequestError, incoming: IncomingMessage, outgoing: ServerResponse): void {
    replyOn(outgoing, refuse(error, pathOf(incoming.url)));
  }

  function malformed(error: NodeJS.ErrnoException, socket: Duplex, maxHeaderBytes: number): void {
    if (isClosing(socket)) return;
    const last = lastResponse(socket);
    // A whole request before it has its answer coming; written first, this refusal would be taken for that answer.
    if (last?.req.complete && !last.writableFinished && !last.destroyed) {
      last.once('close', () => malformed(error, socket, maxHeaderBytes));
      return;
    }
    // The rest of a request that was answered before it came whole: a second answer would be taken for another request's.
    const isAnswered = last?.writableFinished && !last.req.complete;
    if (isAnswered || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const { code, text, remedy } = clientErrorKind(error.code, maxHeaderBytes);
    endWith(refuse(new RequestError(code, text, { remedy })), socket);
  }

  return {
    request,
    malformed,
    expectation: (incoming, outgoing) => request(unknownExpectation(), incoming, outgoing),
    tunnel: (_, socket) => endWith(refuse(noProxy(allow)), socket),
  };
}

function unknownExpectation(): RequestError {
  return new RequestError('malformed_request', 'The Expect header requests an unsupported behaviour.', {
    field: 'Expect',
    remedy: 'leave it out, or send 100-continue',
    headers: { connection: 'close' },
  });
}

function noProxy(allow: string): RequestError {
  return new RequestError('method_not_allowed', 'This service is no proxy.', {
    remedy: 'send the request to this address itself, without CONNECT',
    headers: { allow },
  });
}

function endWith({ status, headers, body }: Reply, socket: Duplex): void {
  const fields = Object.entries({ ...headers, 'content-length': Buffer.byteLength(body ?? ''), connection: 'close' });
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  // A reset by the other side is no fault of the process.
  socket.on('error', () => socket.destroy());
  closeLingering(socket, `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${body ?? ''}`);
}

interface ClientErrorKind {
  readonly code: RequestErrorCode;
  readonly text: string;
  readonly remedy: string;
}

function clientErrorKind(code: string | undefined, maxHeaderBytes: number): ClientErrorKind {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return {
        code: 'headers_too_large',
        text: `A request's headers have at most ${maxHeaderBytes} bytes.`,
        remedy: 'send fewer or shorter headers, or a shorter path',
      };
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return { code: 'body_too_large', text: 'The chunk extensions are too large.', remedy: 'send none' };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { code: 'request_timeout', text: 'The request did not arrive in time.', remedy: 'send it again, at once' };
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

/** The request target need not be a path. */
function pathOf(url = ''): string | undefined {
  return url.startsWith('/') ? url.replace(/[?#].*$/s, '') : undefined;
}
