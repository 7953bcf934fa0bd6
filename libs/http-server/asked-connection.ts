/**
 * Tracks the requests of a connection: whether one is in progress, and how many wait for their answers (pipelining, RFC
 * 9112, 9.3.2). One read of a socket can return 1,500 small requests. They would all begin before requests of other
 * connections, and their answers stay in memory if the client does not read them. A connection with too many waiting
 * requests gets their answers, the last with `Connection: close`, and is then no longer read.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** The most requests of one connection that may wait for their answers. */
export const MOST_WAITING = 32;

interface Asked {
  last: ServerResponse;
  /** Requests before the last without a complete answer, in order. */
  readonly waiting: ServerResponse[];
}

const ASKED = Symbol('requests of this connection');

interface AskedConnection extends Duplex {
  [ASKED]?: Asked;
}

/**
 * Records a request on its connection. Returns whether it must be the last, since it reaches the limit of waiting
 * requests.
 */
export function rememberRequest({ socket }: IncomingMessage, outgoing: ServerResponse): boolean {
  const connection: AskedConnection = socket;
  const asked = connection[ASKED];
  if (!asked) {
    connection[ASKED] = { last: outgoing, waiting: [] };
    return false;
  }
  const { waiting } = asked;
  waiting.push(asked.last);
  while (waiting[0]?.writableFinished) waiting.shift();
  asked.last = outgoing;
  return waiting.length + 1 >= MOST_WAITING;
}

/** Returns whether the last request arrived while earlier ones waited for their answers. */
export function isPipelined(connection: AskedConnection): boolean {
  return (connection[ASKED]?.waiting.length ?? 0) > 0;
}

/** Returns the response to the last request of a connection. */
export function lastResponse(connection: AskedConnection): ServerResponse | undefined {
  return connection[ASKED]?.last;
}

/** Returns whether the last request of a connection has arrived completely, and its answer is not complete. */
export function isAnswering(connection: AskedConnection): boolean {
  const last = lastResponse(connection);
  return last?.req.complete === true && !last.writableEnded && !last.destroyed;
}

/** Returns whether the body of the last request is still arriving, and no answer has begun. */
export function isSending(connection: AskedConnection): boolean {
  const last = lastResponse(connection);
  return last?.req.complete === false && !last.headersSent && !last.destroyed;
}

/**
 * Returns whether the last answer was declared as the last of its connection (RFC 9112, 9.6), so that further input is
 * ignored.
 */
export function isPastLast(connection: AskedConnection): boolean {
  return lastResponse(connection)?.shouldKeepAlive === false;
}

/** Returns whether the client has read the answers to all requests of a connection. */
export function isAnswered(connection: AskedConnection): boolean {
  const last = lastResponse(connection);
  return !last || last.writableFinished || last.destroyed;
}

/** Returns whether the last request of a connection has arrived completely. */
export function hasAsked(connection: AskedConnection): boolean {
  return lastResponse(connection)?.req.complete === true;
}

/** Returns the last answer if it was written completely and the client has not read it yet. */
export function untakenAnswer(connection: AskedConnection): ServerResponse | undefined {
  const last = lastResponse(connection);
  return last?.writableEnded && !last.writableFinished && !last.destroyed ? last : undefined;
}

// Closes a connection after its answers. A socket that is closed with unread bytes sends a reset, and then the client's
// kernel drops answers that the client has not read yet (RFC 9112, 9.6). So the server first ends its own direction. It
// discards input for a while, and then destroys the socket, since a client may never end its direction.

/** Milliseconds in which a client may read its answers and finish its request. */
export const LINGER_MS = 1_000;

const CLOSING = Symbol('closes behind its answers');

interface ClosingConnection extends Duplex {
  [CLOSING]?: boolean;
  /** A method of net.Socket; Node's HTTP calls it after the last answer of a connection. */
  destroySoon?(): void;
}

/** Returns whether a connection is being closed. Further input is ignored. */
export function isClosing(connection: ClosingConnection): boolean {
  return connection[CLOSING] === true;
}

/** Ends the server's direction after all written bytes and `last`, and closes the connection after `LINGER_MS`. */
export function closeLingering(connection: ClosingConnection, last?: string): void {
  connection[CLOSING] = true;
  connection.end(last);
  connection.resume();
  const timer = setTimeout(() => connection.destroy(), LINGER_MS);
  connection.once('close', () => clearTimeout(timer));
}

/**
 * Declares an answer as the last (`Connection: close`), and closes the connection after it. Nothing of the answer may
 * have been sent.
 */
export function closeBehind(answer: ServerResponse, connection: ClosingConnection): void {
  answer.shouldKeepAlive = false;
  const destroySoon = () => closeLingering(connection);
  connection.destroySoon = destroySoon;
}

/** Closes a connection like `closeBehind`, and stops reading from it. Earlier requests are still answered. */
export function closeUnreadBehind(answer: ServerResponse, connection: ClosingConnection): void {
  closeBehind(answer, connection);
  connection[CLOSING] = true;
  // The work is deferred until the HTTP parser has handled its input, since a new listener would take this input.
  process.nextTick(() => {
    connection.removeAllListeners('data');
    connection.on('data', () => {});
    connection.pause();
  });
}
