/**
 * The HTTP server under the application: limits on what a connection may cost, problem documents also for what never
 * becomes a request, and an end that loses nobody's answer.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { RequestError, type RequestErrorCode } from './http/request-error.ts';
import { toProblem } from './problem.ts';

/** Milliseconds and bytes. Node's own defaults would let a client hold a connection for five minutes. */
const LIMITS = Object.freeze({
  headersTimeout: 5_000,
  requestTimeout: 15_000,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 8_192,
  /** How often the two timeouts above are looked at. */
  connectionsCheckingInterval: 1_000,
});
const MAX_CONNECTIONS = 4_096;

export interface ServerOptions {
  fetch(request: Request): Response | Promise<Response>;
  /** Is shown each request first; false: it is left to `fetch`. */
  direct?(incoming: IncomingMessage, outgoing: ServerResponse): boolean;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly maxConnections?: number;
}

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  /**
   * Accepts nothing more, lets requests under way finish, and after the grace closes what is left.
   * @returns whether everything finished in time
   */
  close(graceMs: number): Promise<boolean>;
}

/** Rejects where the address cannot be listened on. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { fetch, direct = () => false, host, port, maxConnections = MAX_CONNECTIONS } = options;
  const listen = getRequestListener(fetch);
  const server = createServer(LIMITS, (incoming, outgoing) => {
    if (!direct(incoming, outgoing)) void listen(incoming, outgoing);
  });
  server.maxConnections = maxConnections;
  server.on('clientError', answerClientError);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(describeListenError(error, host, port)));
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    port: address.port,
    close: (graceMs) => closeServer(server, graceMs),
  };
}

async function closeServer(server: Server, graceMs: number): Promise<boolean> {
  let inTime = true;
  // What still comes on open connections is answered, and told that it is the last: a busy client would come for ever.
  server.prependListener('request', (_, response: ServerResponse) => {
    response.shouldKeepAlive = false;
  });
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that was busy when the server closed becomes idle later, and would be kept alive.
  const sweep = setInterval(() => server.closeIdleConnections(), 50);
  const patience = setTimeout(() => {
    inTime = false;
    server.closeAllConnections();
  }, graceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(patience);
  return inTime;
}

/** What the parser refused: there is no request to answer, only a socket to write to. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const { code, text } = clientErrorKind(error.code);
  const { problem } = toProblem(new RequestError(code, text));
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function clientErrorKind(code: string | undefined): { code: RequestErrorCode; text: string } {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return { code: 'headers_too_large', text: `A request's headers have at most ${LIMITS.maxHeaderSize} bytes.` };
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return { code: 'body_too_large', text: 'The chunk extensions are too large.' };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { code: 'request_timeout', text: 'The request did not arrive in time.' };
    default:
      return { code: 'malformed_request', text: 'This is not HTTP/1.1.' };
  }
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
