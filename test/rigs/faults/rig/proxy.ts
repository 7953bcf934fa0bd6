/**
 * A TCP proxy before a server, with toxics. What it does by chance comes from the seed and the connection's number, so
 * that the same seed has the same connections suffer in the same way.
 */
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { createRandom } from '../../../../apps/shop/replay/random.ts';
import { joinSockets, type ProxiedConnection } from './proxied-connection.ts';
import { createToxicSet, type Dose, type Toxic } from './toxics.ts';

export interface ProxyOptions {
  /** Of the server behind it, on 127.0.0.1. */
  readonly port: number;
  readonly seed: number;
}

export interface TcpProxy {
  /** Where it listens, on 127.0.0.1; stays the same. */
  readonly port: number;
  /** A server's URL, by this way. */
  by(url: string): string;
  add(toxic: Toxic, dose?: Dose): { remove(): void };
  /** Lifts all toxics, and opens it again where it was down. */
  heal(): Promise<void>;
  /** Refuses connections, and ends those there are. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** Leads to another server from now on; the connections to the one before end. */
  aim(port: number): void;
  /** Those open now. */
  connections(): readonly ProxiedConnection[];
  close(): Promise<void>;
}

/** Odd, so that neighbouring connections have seeds far apart. */
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
      // A connection that was reset before it was known here.
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
