/** Clients that hold connections without sending a whole request, or without reading the answer. */
import { connect, type Socket } from 'node:net';

/**
 * The kind of slow client: `silent` sends nothing, `headers` and `body` send one byte of them per second, `idle` has
 * its answer, `unread` reads nothing, and `trickle` reads a kilobyte per second. None closes the connection when the
 * server ends it.
 */
export type Slowness = 'silent' | 'headers' | 'body' | 'idle' | 'unread' | 'trickle';

export interface SlowClients {
  /** The local ports of the clients. */
  readonly ports: ReadonlySet<number>;
  end(): void;
}

/** Requests whose answers are larger than all buffers on the way. */
const LARGE = 'GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(100);
const BEGINNINGS: Readonly<Record<Slowness, string>> = {
  silent: '',
  headers: 'GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ',
  body: 'POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n[',
  idle: 'GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
  unread: LARGE,
  trickle: LARGE,
};
/** The interval at which a client sends or reads. The clients are spread over this interval. */
const EVERY_MS = 1_000;
const TURNS = 50;
const TAKEN_BYTES = 1_024;
/** The number of connections opened at once. It is low enough that no connection waits for the listen queue. */
const AT_ONCE = 100;

/** Opens `count` clients, alternating between the kinds. */
export async function openSlowClients(port: number, count: number, kinds: readonly Slowness[]): Promise<SlowClients> {
  const sockets: Socket[] = [];
  const ports = new Set<number>();
  const moving: (() => void)[] = [];
  for (let begun = 0; begun < count; begun += AT_ONCE) {
    const group = Array.from({ length: Math.min(AT_ONCE, count - begun) }, (_, i) => kinds[(begun + i) % kinds.length]);
    await Promise.all(group.map((kind) => begin(kind as Slowness)));
  }
  let turn = 0;
  const clock = setInterval(() => {
    for (let i = turn; i < moving.length; i += TURNS) moving[i]?.();
    turn = (turn + 1) % TURNS;
  }, EVERY_MS / TURNS);

  function begin(kind: Slowness): Promise<void> {
    return new Promise((resolve) => {
      // If the callback returns false, the socket stops reading until `resume`.
      const slowly = { buffer: Buffer.alloc(TAKEN_BYTES), callback: () => false };
      const socket = connect({
        port,
        host: '127.0.0.1',
        allowHalfOpen: true,
        ...(kind === 'trickle' ? { onread: slowly } : {}),
      });
      sockets.push(socket);
      socket.once('connect', () => {
        ports.add(socket.localPort ?? 0);
        socket.write(BEGINNINGS[kind]);
        if (kind === 'headers' || kind === 'body') moving.push(() => socket.writable && socket.write('x'));
        if (kind === 'trickle') moving.push(() => socket.resume());
        else if (kind === 'unread') socket.pause();
        else socket.resume();
        resolve();
      });
      socket.on('error', () => {});
      socket.once('close', () => resolve());
    });
  }

  return {
    ports,
    end() {
      clearInterval(clock);
      for (const socket of sockets) socket.destroy();
    },
  };
}
