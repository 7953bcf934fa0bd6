/**
 * A TCP proxy in front of a server, with toxics. Its random choices depend on the seed and the number of the
 * connection, so that the same seed affects the same connections in the same way.
 */
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { createRandom } from '@tandem/experiment/distributions/random';
import { joinSockets, type ProxiedConnection } from './proxied-connection.ts';
import { createToxicSet, type Dose, type Toxic } from './toxics.ts';

export interface ProxyOptions {
  /** The port of the server behind the proxy, on 127.0.0.1. */
  readonly port: number;
  readonly seed: number;
}

export interface TcpProxy {
  /** The port of the proxy, on 127.0.0.1. It never changes. */
  readonly port: number;
  /** Returns the URL of a server, with the port of the proxy. */
  by(url: string): string;
  add(toxic: Toxic, dose?: Dose): { remove(): void };
  /** Removes all toxics. Listens again if the proxy was down. */
  heal(): Promise<void>;
  /** Refuses new connections, and ends the open ones. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** Forwards new connections to another server, and ends the open ones. */
  aim(port: number): void;
  /** Returns the open connections. */
  connections(): readonly ProxiedConnection[];
  close(): Promise<void>;
}

/** An odd factor, which gives consecutive connections very different seeds. */
const GOLDEN = 0x9e3779b1;

export async function startProxy({ port: firstPort, seed }: ProxyOptions): Promise<TcpProxy> {
  let serverPort = firstPort;
  const toxics = createToxicSet();
  const open = new Map<number, ProxiedConnection>();
  let accepted = 0;
  let server: Server | null = await listen(0);
  const { port } = server.address() as AddressInfo;

  function listen(at: number): Promise<Server> {
    const listening = createServer({ allowHalfOpen: true }, (client) => {
      const no = ++accepted;
      const upstream = connect({ port: serverPort, host: '127.0.0.1', allowHalfOpen: true });
      const random = createRandom(seed ^ Math.imul(no, GOLDEN));
      open.set(no, joinSockets({ no, client, server: upstream, toxics, random, onClose: () => open.delete(no) }));
      // The connection was reset before it was in the map.
      if (client.destroyed && upstream.destroyed) open.delete(no);
    });
    return new Promise((resolve, reject) => {
      listening.once('error', reject);
      listening.listen(at, '127.0.0.1', () => resolve(listening));
    });
  }

  async function down(): Promise<void> {
    const closing = server;
    server = null;
    for (const connection of open.values()) connection.destroy();
    if (closing) await new Promise((resolve) => closing.close(resolve));
  }

  async function up(): Promise<void> {
    server ??= await listen(port);
  }

  return {
    port,
    by(url) {
      const proxied = new URL(url);
      proxied.port = String(port);
      return proxied.href;
    },
    add: toxics.add,
    async heal() {
      toxics.clear();
      await up();
    },
    down,
    up,
    aim(to) {
      serverPort = to;
      for (const connection of open.values()) connection.destroy();
    },
    connections: () => [...open.values()],
    async close() {
      toxics.clear();
      await down();
    },
  };
}
