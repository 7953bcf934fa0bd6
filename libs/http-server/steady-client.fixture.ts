/**
 * A client for tests of a draining server. It sends one request after another on a connection, and reconnects when the
 * connection is closed.
 */
import { connect } from 'node:net';

/** A request that was sent but not answered. */
export interface LostRequest {
  /** The client's port of the connection. */
  readonly port: number;
  /** The error's code; `end` if the connection ended before the answer. */
  readonly why: string;
}

export interface SteadyClient {
  answers(): number;
  /** Ends the client after its next answer. */
  stop(): void;
  /** Resolves to the lost requests when the server no longer listens, or the client was stopped. */
  readonly ended: Promise<readonly LostRequest[]>;
}

/**
 * Starts a client.
 * @param path a path with an answer that has a Content-Length or is chunked
 * @param restMs the time between an answer and the next request; 0 uses all the CPU that the server leaves
 */
export function askOnAndOn(port: number, path = '/', restMs = 0): SteadyClient {
  const lost: LostRequest[] = [];
  let answers = 0;
  let isStopped = false;

  async function live(): Promise<readonly LostRequest[]> {
    while (!isStopped && (await visit()));
    return lost;
  }

  /** Opens a connection and sends requests until it ends. Returns whether a server was listening. */
  function visit(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' });
      let [text, own, isWaiting] = ['', 0, false];
      const ask = () => {
        [text, isWaiting] = ['', true];
        socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      };
      // An immediate runs after the input that has arrived. If the server has ended the idle connection, no request is
      // sent on it.
      const askUnlessEnded = () => {
        if (!socket.destroyed) ask();
      };
      const leave = (why: string) => {
        if (isWaiting) lost.push({ port: own, why });
        isWaiting = false;
        socket.destroy();
        resolve(own !== 0);
      };
      socket.setEncoding('latin1');
      socket.once('connect', () => {
        own = socket.localPort ?? 0;
        ask();
      });
      socket.on('data', (piece) => {
        text += piece;
        if (!isWhole(text)) return;
        answers++;
        isWaiting = false;
        if (isStopped || /^connection: close\r$/im.test(text)) leave('told');
        else if (restMs === 0) ask();
        else setTimeout(() => setImmediate(askUnlessEnded), restMs);
      });
      socket.once('end', () => leave('end'));
      socket.once('error', (error: NodeJS.ErrnoException) => leave(error.code ?? error.message));
    });
  }

  const stop = () => {
    isStopped = true;
  };
  return { answers: () => answers, stop, ended: live() };
}

function isWhole(text: string): boolean {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return false;
  const length = /^content-length: (\d+)\r$/im.exec(text.slice(0, head + 2))?.[1];
  return length === undefined ? text.endsWith('0\r\n\r\n') : text.length >= head + 4 + Number(length);
}
