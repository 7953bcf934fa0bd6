/**
 * Answers what never becomes a request of the application: what the parser refuses, what asks for another protocol, and
 * what HTTP does not allow. Node's own answers to these are empty.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { lastResponse } from './asked-connection.ts';
import { closeLingering, isClosing } from './lingering-close.ts';
import { type Reply, replyOn } from './reply.ts';
import { RequestError, type RequestErrorCode } from './request-error.ts';

export interface RefusalOptions {
  /** Renders a refusal in the server's own format. @param path of the request, where it has one */
  refuse(error: RequestError, path?: string): Reply;
  /** The methods of all paths, for the `Allow` header of a refused CONNECT. */
  readonly allow: string;
}

export interface Refusals {
  /** Answers a request with an error. */
  request(error: RequestError, incoming: IncomingMessage, outgoing: ServerResponse): void;
  /** Answers an `Expect` other than `100-continue`, which Node handles itself (RFC 9110, 10.1.1). */
  expectation(incoming: IncomingMessage, outgoing: ServerResponse): void;
  /** Answers CONNECT, for which Node passes the socket and no response. */
  tunnel(incoming: IncomingMessage, socket: Duplex): void;
  /** Answers what the parser refused: there is no request, only a socket to write to. */
  malformed(error: NodeJS.ErrnoException, socket: Duplex, maxHeaderBytes: number): void;
}

export function createRefusals({ refuse, allow }: RefusalOptions): Refusals {
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
  return new RequestError('malformed_request', 'Expect asks for what this service cannot do.', {
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
        text: 'HTTP has no such method.',
        remedy: 'send GET, POST or another of RFC 9110',
      };
    default:
      return {
        code: 'malformed_request',
        text: 'This is not HTTP/1.1.',
        remedy: 'send the request with an HTTP client, and look at what lies between it and this service',
      };
  }
}

/** The request target need not be a path. */
function pathOf(url = ''): string | undefined {
  return url.startsWith('/') ? url.replace(/[?#].*$/s, '') : undefined;
}
