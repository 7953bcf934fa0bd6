/**
 * A proxy to the queue's Redis that can make the workers' connections hang: they stay open, and no data pass in either
 * direction. Clients that enqueue jobs or inspect the queue are not affected.
 */
import { connect, createServer, type Socket } from 'node:net';

export interface QueueProxy {
  readonly url: string;
  /** Makes open and new connections of workers hang until `heal`. */
  wedge(): void;
  /** Lets new connections pass. Connections that hung stay stuck. */
  heal(): void;
  /** Returns the number of workers' connections that hung so far. */
  wedged(): number;
  close(): void;
}

/** The names in the first command of a connection. BullMQ's connections have the prefix of its keys in their name. */
const NAMES = /tandem-queue-producer|tandem-queue-worker|\{tandem\}:/;
const PRODUCER = 'tandem-queue-producer';

export async function startQueueProxy(target: string): Promise<QueueProxy> {
  const to = new URL(target);
  let isWedging = false;
  const stuck = new Set<Socket>();
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(to.port), to.hostname);
    let name: string | null = null;
    let said = '';
    const passes = () => {
      if (isWedging && name !== null && name !== PRODUCER) stuck.add(client);
      return !stuck.has(client);
    };
    client.on('data', (bytes) => {
      if (name === null) {
        said += bytes.toString('latin1');
        name = NAMES.exec(said)?.[0] ?? null;
      }
      if (passes()) upstream.write(bytes);
    });
    upstream.on('data', (bytes) => void (passes() && client.write(bytes)));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  to.host = `127.0.0.1:${address.port}`;
  const url = to.href;
  to.host = new URL(target).host;
  return {
    url,
    wedge: () => {
      isWedging = true;
    },
    heal: () => {
      isWedging = false;
    },
    wedged: () => stuck.size,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
