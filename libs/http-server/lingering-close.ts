/**
 * Closes a connection after its answers. A socket that is closed with unread bytes sends a reset, at which the client's kernel
 * drops answers that the client has not read yet (RFC 9112, 9.6). So the server ends its own direction first, discards what
 * still arrives for a while, and then destroys the socket: a client that never ends its direction cannot hold it.
 */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Milliseconds for which a client may take its answers, and finish what it was saying. */
export const LINGER_MS = 1_000;

const CLOSING = Symbol('closes behind its answers');

interface ClosingConnection extends Duplex {
  [CLOSING]?: boolean;
  /** Of net.Socket; Node's HTTP calls it behind an answer that is the last. */
  destroySoon?(): void;
}

/** Whether it is being closed: nothing that comes on it means anything any more. */
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
  // Not while HTTP's parser is at work on what it was given: a listener of our own takes the connection from it.
  process.nextTick(() => {
    connection.removeAllListeners('data');
    connection.on('data', () => {});
    connection.pause();
  });
}
