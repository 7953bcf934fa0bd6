/**
 * Problem documents for what never becomes a request of the application: what the parser refuses, what asks for another
 * protocol, and what HTTP does not allow. Node's own answers to these are empty.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { lastResponse } from './asked-connection.ts';
import { RequestError, type RequestErrorCode } from './http/request-error.ts';
import { closeLingering, isClosing } from './lingering-close.ts';
import { problemReply, toProblem } from './problem.ts';

/** Answers on Node's own response. */
export function refuseRequest(error: RequestError, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { status, headers, body } = problemReply(toProblem(error, pathOf(incoming.url)));
  // To HEAD Node sends no body, whatever it is given.
  outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body ?? '') });
  outgoing.end(body);
}

/** RFC 9110, 10.1.1: the one expectation that there is, `100-continue`, is Node's to meet. */
export function refuseExpectation(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const error = new RequestError('malformed_request', 'Expect asks for what this service cannot do.', {
    field: 'Expect',
    remedy: 'leave it out, or send 100-continue',
    headers: { connection: 'close' },
  });
  refuseRequest(error, incoming, outgoing);
}

/** CONNECT: Node hands over the socket, and has no response for it. */
export function refuseTunnel(_: IncomingMessage, socket: Duplex): void {
  const error = new RequestError('method_not_allowed', 'This service is no proxy.', {
    remedy: 'send the request to this address itself, without CONNECT',
    headers: { allow: 'DELETE, GET, HEAD, OPTIONS, POST, PUT' },
  });
  endWith(error, socket);
}

/** What the parser refused: there is no request to answer, only a socket to write to. */
export function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex, maxHeaderBytes: number): void {
  if (isClosing(socket)) return;
  const last = lastResponse(socket);
  // A request that came whole has its answer coming; written before it, this one would be taken for it.
  if (last?.req.complete && !last.writableFinished && !last.destroyed) {
    last.once('close', () => refuseMalformed(error, socket, maxHeaderBytes));
    return;
  }
  // The rest of a request that was answered before it came whole: a second answer would be taken for another request's.
  const isAnswered = last?.writableFinished && !last.req.complete;
  if (isAnswered || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const { code, text, remedy } = clientErrorKind(error.code, maxHeaderBytes);
  endWith(new RequestError(code, text, { remedy }), socket);
}

function endWith(error: RequestError, socket: Duplex): void {
  const { status, headers, body } = problemReply(toProblem(error));
  const fields = Object.entries({ ...headers, 'content-length': Buffer.byteLength(body ?? ''), connection: 'close' });
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  // A reset by the other side is no fault of the process.
  socket.on('error', () => socket.destroy());
  closeLingering(socket, `HTTP/1.1 ${status} ${toProblem(error).problem.title}\r\n${head}\r\n${body}`);
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

/** Node gives what was sent, which need not be a path. */
function pathOf(url = ''): string | undefined {
  return url.startsWith('/') ? url.replace(/[?#].*$/s, '') : undefined;
}
