/**
 * Fixture of the integration tests: a proxy to a server whose connections a test can cut, as when the server dies or
 * the network is partitioned.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface CuttableConnection {
  /** The server's URL through this proxy. */
  readonly url: string;
  /** Breaks all connections and refuses new ones until `restore` is called. */
  cut(): void;
  restore(): void;
  close(): Promise<void>;
}

export async function startCuttableConnection(serverUrl: string): Promise<CuttableConnection> {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((inner) => {
    if (isCut) return inner.destroy();
    const outer = connect(Number(target.port), target.hostname);
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => sockets.delete(one));
      one.pipe(other);
    }
    return inner;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(serverUrl);
  // The server may be on another host, for example in a container.
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    cut() {
      isCut = true;
      breakAll();
    },
    restore() {
      isCut = false;
    },
    async close() {
      breakAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
