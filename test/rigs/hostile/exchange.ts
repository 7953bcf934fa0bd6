/** A connection on which any bytes can be sent, and a strict HTTP/1.1 reader. */
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Piece } from './render.ts';

export interface Answer {
  readonly status: number;
  /** The headers with lower-case names. Values of the same name are joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Milliseconds from the last byte of the request to the answer. */
  readonly ms: number;
}

export interface Connection {
  send(pieces: readonly Piece[]): Promise<void>;
  /** Returns the next answer, or undefined if the connection ended without one. Rejects after the time limit. */
  answer(method: string, withinMs: number): Promise<Answer | undefined>;
  /** Returns the number of received bytes that are not a whole answer. */
  rest(): number;
  /** Returns whether the other side ends the connection within the time limit. */
  ends(withinMs: number): Promise<boolean>;
  close(): void;
}

export function openConnection(port: number): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(connectionOn(socket)));
    socket.once('error', reject);
  });
}

function connectionOn(socket: Socket): Connection {
  let received = Buffer.alloc(0);
  let parts: Buffer[] = [];
  let hasEnded = false;
  let sentAt = performance.now();
  let wake = () => {};
  socket.on('data', (part: Buffer) => {
    parts.push(part);
    wake();
  });
  const end = () => {
    hasEnded = true;
    wake();
  };
  // A reset is an end too, because the service may close a connection before it has read all bytes.
  socket.on('error', end).on('end', end).on('close', end);

  /** Waits until `look` finds a value in the bytes. Returns undefined if the connection ends before. */
  async function read<T>(look: (bytes: Buffer, isOver: boolean) => T | undefined, withinMs: number) {
    const deadline = performance.now() + withinMs;
    for (;;) {
      if (parts.length > 0) received = Buffer.concat([received, ...parts]);
      parts = [];
      const found = look(received, hasEnded);
      if (found !== undefined || hasEnded) return found;
      const left = deadline - performance.now();
      if (left <= 0)
        throw new Error(`no further bytes within ${withinMs} ms; received so far: ${received.toString('latin1')}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      const timer = setTimeout(resolve, left);
      await promise;
      clearTimeout(timer);
    }
  }

  return {
    async send(pieces) {
      for (const piece of pieces) {
        if (typeof piece === 'number') await pause(piece);
        else if (!hasEnded) await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
      }
      sentAt = performance.now();
    },
    async answer(method, withinMs) {
      const found = await read((bytes, isOver) => parseAnswer(bytes, method, isOver), withinMs);
      if (!found) return undefined;
      received = received.subarray(found.length);
      return { ...found.answer, ms: performance.now() - sentAt };
    },
    rest: () => parts.reduce((sum, part) => sum + part.length, received.length),
    async ends(withinMs) {
      return await read((_, isOver) => (isOver ? true : undefined), withinMs).then(
        () => true,
        () => false,
      );
    },
    close: () => socket.destroy(),
  };
}

interface Parsed {
  readonly answer: Omit<Answer, 'ms'>;
  /** The number of bytes of the answer. */
  readonly length: number;
}

/**
 * Parses the answer at the beginning of the bytes. Returns undefined if it is incomplete. Skips informational answers.
 */
function parseAnswer(bytes: Buffer, method: string, isOver: boolean): Parsed | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [line = '', ...fields] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(`${line} `)?.[1]);
  if (Number.isNaN(status)) throw new Error(`no HTTP/1.1 answer: ${JSON.stringify(line)}`);
  const start = headEnd + 4;
  if (status < 200) {
    const next = parseAnswer(bytes.subarray(start), method, isOver);
    return next && { ...next, length: next.length + start };
  }
  const headers = headersOf(fields);
  const content = contentOf(bytes.subarray(start), method, status, headers, isOver);
  return content && { answer: { status, headers, body: content.text }, length: start + content.length };
}

function headersOf(fields: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const field of fields) {
    const colon = field.indexOf(':');
    const name = field.slice(0, colon).toLowerCase();
    const value = field.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return headers;
}

interface Content {
  readonly text: string;
  readonly length: number;
}

function contentOf(
  bytes: Buffer,
  method: string,
  status: number,
  headers: Readonly<Record<string, string>>,
  isOver: boolean,
): Content | undefined {
  if (method === 'HEAD' || status === 204 || status === 304) return { text: '', length: 0 };
  // A stream may last for hours, so only its beginning is checked.
  if (headers['content-type'] === 'text/event-stream') return { text: '', length: bytes.length };
  if (headers['transfer-encoding'] === 'chunked') return chunksOf(bytes);
  if (headers['content-length'] === undefined) {
    return isOver ? { text: bytes.toString(), length: bytes.length } : undefined;
  }
  const length = Number(headers['content-length']);
  return bytes.length < length ? undefined : { text: bytes.toString('utf8', 0, length), length };
}

function chunksOf(bytes: Buffer): Content | undefined {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, end), 16);
    const next = end + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return { text: Buffer.concat(chunks).toString(), length: next };
    chunks.push(bytes.subarray(end + 2, end + 2 + size));
    at = next;
  }
}
