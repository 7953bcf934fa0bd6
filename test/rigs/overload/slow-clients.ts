/** Clients that hold connections without asking anything whole, or without taking their answer. */
import { connect, type Socket } from 'node:net';

/**
 * `silent` says nothing, `headers` and `body` send a byte a second of theirs, `idle` was answered, `unread` takes no answer
 * at all, `trickle` takes a kilobyte a second. None of them goes when it is told that it is over.
 */
export type Slowness = 'silent' | 'headers' | 'body' | 'idle' | 'unread' | 'trickle';

export interface SlowClients {
  /** From which they came. */
  readonly ports: ReadonlySet<number>;
  end(): void;
}

/** Each of these answers has more than any buffer on its way. */
const LARGE = 'GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(100);
const BEGINNINGS: Readonly<Record<Slowness, string>> = {
  silent: '',
  headers: 'GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ',
  body: 'POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n[',
  idle: 'GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
  unread: LARGE,
  trickle: LARGE,
};
/** Those that move at all do so once a second, each at a moment of its own. */
const EVERY_MS = 1_000;
const TURNS = 50;
const TAKEN_BYTES = 1_024;
/** Opened at once, so that none of them waits for the listening queue. */
const AT_ONCE = 100;

/** Opens so many, of each kind in turn, and lets them be. */
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
      // A callback that gives false reads no more until it is asked to.
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
