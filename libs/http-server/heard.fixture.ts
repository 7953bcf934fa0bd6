/** Records what a client receives on a socket until the end, for tests of connections. */
import type { Socket } from 'node:net';

export interface Heard {
  /** Returns the text received so far. */
  text(): string;
  /** How the connection ended: `end` if the server ended its direction, else the message of the error. */
  readonly end: Promise<string>;
}

export function hear(socket: Socket): Heard {
  let text = '';
  socket.setEncoding('latin1').on('data', (piece) => {
    text += piece;
  });
  const end = new Promise<string>((resolve) => {
    socket.once('end', () => resolve('end'));
    socket.once('error', ({ message }) => resolve(message));
  });
  return { text: () => text, end };
}
