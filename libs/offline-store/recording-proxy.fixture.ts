/** A proxy in front of Postgres that records the messages of clients. */

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

export interface SentMessage {
  /** The letter of the message: Q for the simple protocol, P for Parse, S for Sync. */
  readonly type: string;
  readonly text: string;
  /** The connection's number, in the order of opening. */
  readonly connection: number;
}

export interface RecordingProxy {
  /** The address to use instead of the server's. */
  readonly url: string;
  readonly sent: SentMessage[];
  close(): Promise<void>;
}

/**
 * Starts the proxy.
 * @param serverUrl the address of a server without TLS
 */
export async function startRecordingProxy(serverUrl: string): Promise<RecordingProxy> {
  const { hostname, port } = new URL(serverUrl);
  const sent: SentMessage[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const proxy = createServer((client) => {
    const connection = connections++;
    const server = connect(Number(port), hostname);
    const cut = createCutter((type, text) => sent.push({ type, text, connection }));
    client.on('data', cut);
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const url = new URL(serverUrl);
  url.hostname = '127.0.0.1';
  url.port = String((proxy.address() as AddressInfo).port);
  return {
    url: url.href,
    sent,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}

/**
 * Splits a connection's bytes into messages. A message begins with a letter and a length; the first message has no
 * letter.
 */
function createCutter(take: (type: string, text: string) => void): (bytes: Buffer) => void {
  let pending = Buffer.alloc(0);
  let isFirst = true;
  return (bytes) => {
    pending = Buffer.concat([pending, bytes]);
    for (;;) {
      const head = isFirst ? 0 : 1;
      if (pending.length < head + 4) return;
      const length = head + pending.readInt32BE(head);
      if (pending.length < length) return;
      if (!isFirst) take(String.fromCharCode(pending[0] ?? 0), pending.toString('utf8', 5, length));
      isFirst = false;
      pending = pending.subarray(length);
    }
  };
}
