/**
 * Sends one request after another on an open connection. It does not use node:http, whose cost would halve the rate of
 * a generator on one core.
 */
import { connect, type Socket } from 'node:net';

export interface Exchange {
  readonly status: number;
  /** The seconds of Retry-After, or null without this header. */
  readonly retryAfter: number | null;
  readonly body: string;
}

export interface Connection {
  /** Returns whether the server may still answer on the connection. */
  isOpen(): boolean;
  /**
   * Sends a request after the previous answer. Calls `done` once, with null if the connection ended before a whole
   * answer.
   */
  ask(request: string | Buffer, done: (answer: Exchange | null) => void): void;
  end(): void;
}

/** Opens a connection. A request made before the connection is established is sent afterwards. */
export function openConnection(host: string, port: number): Connection {
  const socket: Socket = connect({ host, port, noDelay: true });
  let received = '';
  let waiting: ((answer: Exchange | null) => void) | null = null;
  let isOpen = true;

  function finish(answer: Exchange | null): void {
    const done = waiting;
    waiting = null;
    received = '';
    done?.(answer);
  }

  socket.setEncoding('latin1');
  socket.on('data', (piece: string) => {
    received += piece;
    const answer = waiting && readAnswer(received);
    if (!answer) return;
    if (answer.isLast) {
      isOpen = false;
      socket.destroy();
    }
    finish(answer);
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    isOpen = false;
    finish(null);
  });
  return {
    isOpen: () => isOpen,
    ask(request, done) {
      waiting = done;
      if (!isOpen) finish(null);
      else socket.write(request);
    },
    end: () => void socket.destroy(),
  };
}

/** Returns the text of a GET request. */
export function getRequest(path: string, headers: Readonly<Record<string, string>> = {}): string {
  const fields = Object.entries({ host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${fields.join('')}\r\n`;
}

/** Parses an answer. Returns null while it is incomplete. */
export function readAnswer(text: string): (Exchange & { readonly isLast: boolean }) | null {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const head = text.slice(0, end + 2);
  const status = Number(head.slice(9, 12));
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  if (text.length < end + 4 + length) return null;
  const retryAfter = /\r\nretry-after: *(\d+)/i.exec(head)?.[1];
  return {
    status,
    retryAfter: retryAfter === undefined ? null : Number(retryAfter),
    body: text.slice(end + 4, end + 4 + length),
    isLast: /\r\nconnection: *close/i.test(head),
  };
}
