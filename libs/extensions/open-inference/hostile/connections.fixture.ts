/**
 * Connections that violate the rules of HTTP/2. The server may end each connection, but no connection may end the
 * server.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const [DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION] = [0, 1, 2, 3, 4, 6, 8, 9] as const;
const END_HEADERS = 4;

/** @param length the declared length of the payload, if it differs from the real one */
function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
  length = payload.length,
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Encodes header fields without compression. */
function fields(...pairs: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.of(value.length), Buffer.from(value)]);
  return Buffer.concat(pairs.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]));
}

const CALL = fields(
  ...([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/inference.GRPCInferenceService/ModelInfer'],
    [':authority', 'localhost'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ] as const),
);
const begin = (stream: number) => frame(HEADERS, END_HEADERS, stream, CALL);
const many = (count: number, one: (i: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => one(i)));
const greeting = Buffer.concat([PREFACE, frame(SETTINGS, 0, 0)]);
const spoken = (...frames: readonly Buffer[]) => Buffer.concat([greeting, ...frames]);
/** Settings with a window of 0, so that the server may send nothing on a stream. */
const NO_WINDOW = Buffer.from([0, 4, 0, 0, 0, 0]);

export const CONNECTIONS: readonly (readonly [name: string, bytes: Buffer])[] = [
  ['HTTP/1.1', Buffer.from('POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello')],
  ['TLS', Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, ...new Array(200).fill(7)])],
  ['noise', Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * 197) % 256))],
  ['nothing after the greeting', greeting],
  ['a frame of 16 MiB', spoken(frame(DATA, 0, 1, Buffer.alloc(0), 16_777_215))],
  ['data of no stream', spoken(frame(DATA, 0, 0, Buffer.alloc(9)))],
  ['data of a stream that was never opened', spoken(frame(DATA, 0, 9, Buffer.alloc(9)))],
  ['a call on a stream of the server', spoken(begin(2))],
  ['settings of a wrong length', spoken(frame(SETTINGS, 0, 0, Buffer.alloc(5)))],
  [
    'a window that overflows',
    spoken(...[0, 0].map((id) => frame(WINDOW_UPDATE, 0, id, Buffer.from([127, 255, 255, 255])))),
  ],
  ['padding longer than the frame', spoken(begin(1), frame(DATA, 8, 1, Buffer.of(200, 1)))],
  ['an index outside the table of headers', spoken(frame(HEADERS, END_HEADERS, 1, Buffer.of(0xff, 0xff, 0xff, 0x7f)))],
  ['headers without :path', spoken(frame(HEADERS, END_HEADERS, 1, fields([':method', 'POST'])))],
  ['a method that is none', spoken(frame(HEADERS, END_HEADERS, 1, Buffer.concat([fields([':method', 'BREW']), CALL])))],
  [
    'headers that never end',
    spoken(
      frame(HEADERS, 0, 1, CALL),
      many(20_000, () => frame(CONTINUATION, 0, 1, fields(['x', 'y']))),
    ),
  ],
  ['20,000 pings', spoken(many(20_000, () => frame(PING, 0, 0, Buffer.alloc(8))))],
  ['20,000 settings', spoken(many(20_000, () => frame(SETTINGS, 0, 0, NO_WINDOW)))],
  ['20,000 priorities', spoken(many(20_000, (i) => frame(PRIORITY, 0, 2 * i + 1, Buffer.alloc(5, 1))))],
  [
    '5,000 calls that are reset at once',
    spoken(
      many(5_000, (i) => Buffer.concat([begin(2 * i + 1), frame(RESET, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8]))])),
    ),
  ],
  ['1,000 calls at once', spoken(many(1_000, (i) => begin(2 * i + 1)))],
  [
    'an answer that may not be sent',
    spoken(frame(SETTINGS, 0, 0, NO_WINDOW), begin(1), frame(DATA, 1, 1, Buffer.alloc(5))),
  ],
];

/** Sends bytes on a new connection, which stays open until the server ends it or the caller closes it. */
export async function attack(port: number, bytes: Buffer): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {}).resume();
  await once(socket, 'connect');
  // Waits until all bytes are sent or the server ends the connection.
  await new Promise<void>((resolve) => {
    socket.write(bytes, () => resolve());
    socket.once('close', () => resolve());
  });
  return socket;
}
