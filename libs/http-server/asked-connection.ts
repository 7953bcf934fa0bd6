/**
 * Tracks the requests of a connection: whether one is under way, and how many wait for their answers (pipelining, RFC 9112,
 * 9.3.2). One read of a connection can bring 1,500 small requests, which would all begin before those of other connections,
 * and whose answers stay in memory if the client does not read them. So a connection with too many waiting requests gets
 * those answers, the last of which says that it closes, and is read no more.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Requests of one connection that may wait for their answers. */
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

/** Remembers a request on its connection. Gives whether it has to be the last: with it, as many wait as may. */
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

/** Whether the request that was remembered last came while others before it waited for their answers. */
export function isPipelined(connection: AskedConnection): boolean {
  return (connection[ASKED]?.waiting.length ?? 0) > 0;
}

/** The response to the last request that came on it. */
export function lastResponse(connection: AskedConnection): ServerResponse | undefined {
  return connection[ASKED]?.last;
}

/** Whether a whole request has come on it that has no whole answer yet. */
export function isAnswering(connection: AskedConnection): boolean {
  const last = lastResponse(connection);
  return last?.req.complete === true && !last.writableEnded && !last.destroyed;
}

/** Whether the head of a request has come on it, and its body comes still, of which nothing was answered. */
export function isSending(connection: AskedConnection): boolean {
  const last = lastResponse(connection);
  return last?.req.complete === false && !last.headersSent && !last.destroyed;
}

/** Whether what comes on it now is behind an answer that says that it is the last (RFC 9112, 9.6). */
export function isPastLast(connection: AskedConnection): boolean {
  return lastResponse(connection)?.shouldKeepAlive === false;
}

/** Whether every request that has come on it has an answer that its client took. */
export function isAnswered(connection: AskedConnection): boolean {
  const last = lastResponse(connection);
  return !last || last.writableFinished || last.destroyed;
}

/** Whether a whole request has ever come on it. */
export function hasAsked(connection: AskedConnection): boolean {
  return lastResponse(connection)?.req.complete === true;
}

/** The last answer, where all of it was written and the client has not taken it yet. */
export function untakenAnswer(connection: AskedConnection): ServerResponse | undefined {
  const last = lastResponse(connection);
  return last?.writableEnded && !last.writableFinished && !last.destroyed ? last : undefined;
}

// Closes a connection after its answers. A socket that is closed with unread bytes sends a reset, at which the client's kernel
// drops answers that the client has not read yet (RFC 9112, 9.6). So the server ends its own direction first, discards what
// still arrives for a while, and then destroys the socket: a client that never ends its direction cannot hold it.

/** Milliseconds for which a client may take its answers, and finish what it was saying. */
export const LINGER_MS = 1_000;

const CLOSING = Symbol('closes behind its answers');

interface ClosingConnection extends Duplex {
  [CLOSING]?: boolean;
  /** A method of net.Socket; Node's HTTP calls it after the last answer of a connection. */
  destroySoon?(): void;
}

/** Whether it is being closed: further input is ignored. */
export function isClosing(connection: ClosingConnection): boolean {
  return connection[CLOSING] === true;
}

/** Ends our direction, behind all that was written and these last bytes, and closes it a little later. */
export function closeLingering(connection: ClosingConnection, last?: string): void {
  connection[CLOSING] = true;
  connection.end(last);
  connection.resume();
  const timer = setTimeout(() => connection.destroy(), LINGER_MS);
  connection.once('close', () => clearTimeout(timer));
}

/** Makes this answer, of which nothing was sent yet, say that it is the last, and closes the connection behind it. */
export function closeBehind(answer: ServerResponse, connection: ClosingConnection): void {
  answer.shouldKeepAlive = false;
  connection.destroySoon = () => closeLingering(connection);
}

/** As `closeBehind`, and from now on nothing is read of the connection; what was asked before is answered. */
export function closeUnreadBehind(answer: ServerResponse, connection: ClosingConnection): void {
  closeBehind(answer, connection);
  connection[CLOSING] = true;
  // Not while HTTP's parser handles its input: a listener of this module would take the connection from it.
  process.nextTick(() => {
    connection.removeAllListeners('data');
    connection.on('data', () => {});
    connection.pause();
  });
}
