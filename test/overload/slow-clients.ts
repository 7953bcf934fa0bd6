/** Clients that hold connections without asking anything whole, or without taking their answer. */
import { connect, type Socket } from 'node:net';

export type Slowness = 'silent' | 'headers' | 'body' | 'idle' | 'unread';

export interface SlowClients {
  end(): void;
}

const BEGINNINGS: Readonly<Record<Slowness, string>> = {
  silent: '',
  headers: 'GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ',
  body: 'POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n[',
  idle: 'GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
  unread: 'GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(100),
};
/** Those that send go on with a byte a second. */
const DRIP_MS = 1_000;
/** Opened at once, so that none of them waits for the listening queue. */
const AT_ONCE = 100;

/** Opens so many, of each kind in turn, and lets them be. */
export async function openSlowClients(port: number, count: number, kinds: readonly Slowness[]): Promise<SlowClients> {
  const sockets = new Set<Socket>();
  const dripping: Socket[] = [];
  for (let begun = 0; begun < count; begun += AT_ONCE) {
    const group = Array.from({ length: Math.min(AT_ONCE, count - begun) }, (_, i) => kinds[(begun + i) % kinds.length]);
    await Promise.all(group.map((kind) => begin(kind as Slowness)));
  }
  const drip = setInterval(() => {
    for (const socket of dripping) if (socket.writable) socket.write('x');
  }, DRIP_MS);

  function begin(kind: Slowness): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1');
      sockets.add(socket);
      socket.once('connect', () => {
        socket.write(BEGINNINGS[kind]);
        if (kind === 'headers' || kind === 'body') dripping.push(socket);
        if (kind === 'unread') socket.pause();
        else socket.resume();
        resolve();
      });
      socket.on('error', () => {});
      socket.once('close', () => resolve());
    });
  }

  return {
    end() {
      clearInterval(drip);
      for (const socket of sockets) socket.destroy();
    },
  };
}
