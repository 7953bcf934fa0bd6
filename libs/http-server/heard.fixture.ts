/** For the tests of connections: what a client hears on a socket, to its end. */
import type { Socket } from 'node:net';

export interface Heard {
  /** Until now. */
  text(): string;
  /** How the server ended its direction: `end` in good order, or with an error's message. */
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
