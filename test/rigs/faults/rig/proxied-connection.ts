/** A client's connection through the proxy: two streams, and the toxics that end or cut the whole connection. */
import type { Socket } from 'node:net';
import { type ProxiedStream, startStream } from './proxied-stream.ts';
import { type Direction, find, type Poisoning, type ToxicSet } from './toxics.ts';

export interface ProxiedConnection {
  /** The number of the connection, from 1, in the order in which the proxy accepted connections. */
  readonly no: number;
  /** Ends both sides by RST. */
  reset(): void;
  /** Ends both sides. */
  destroy(): void;
}

export interface ConnectionParts {
  readonly no: number;
  readonly client: Socket;
  readonly server: Socket;
  readonly toxics: ToxicSet;
  /** The random numbers of this connection, from the seed and the number of the connection. */
  readonly random: () => number;
  onClose(): void;
}

export function joinSockets({ no, client, server, toxics, random, onClose }: ConnectionParts): ProxiedConnection {
  const decided = new Map<number, boolean>();
  const timers = new Map<number, NodeJS.Timeout>();
  let isHalfOpen = false;

  /** Returns whether a toxic affects this connection. This is decided once, in the order in which toxics are added. */
  function has({ id, connection, toxicity = 1 }: Poisoning): boolean {
    if (connection !== undefined && connection !== no) return false;
    const known = decided.get(id);
    if (known !== undefined) return known;
    const has = random() < toxicity;
    decided.set(id, has);
    return has;
  }

  function applying(direction: Direction): readonly Poisoning[] {
    const { all } = toxics;
    if (all.length === 0) return all;
    return all.filter((one) => (one.direction ?? direction) === direction && has(one));
  }

  const streamOf = (from: Socket, to: Socket, direction: Direction): ProxiedStream =>
    startStream({ from, to, random, toxics: () => applying(direction), onLimit: destroy });
  const streams = [streamOf(client, server, 'upstream'), streamOf(server, client, 'downstream')];

  function lookAgain(): void {
    const mine = toxics.all.filter(has);
    for (const [id, timer] of timers) {
      if (mine.some((one) => one.id === id)) continue;
      clearTimeout(timer);
      timers.delete(id);
    }
    for (const { id, toxic } of mine) {
      if (timers.has(id)) continue;
      if (toxic.type === 'reset_peer') timers.set(id, setTimeout(reset, toxic.timeout));
      if (toxic.type === 'timeout' && toxic.timeout > 0) timers.set(id, setTimeout(destroy, toxic.timeout));
    }
    if (find(mine, 'half_open')) halfOpen();
    // The peer notices the cut with its next message, as from a machine that was restarted.
    else if (isHalfOpen) reset();
    for (const stream of streams) stream.wake();
  }

  function halfOpen(): void {
    if (isHalfOpen) return;
    isHalfOpen = true;
    for (const stream of streams) stream.stop();
    server.destroy();
    client.resume();
  }

  function reset(): void {
    client.resetAndDestroy();
    server.resetAndDestroy();
  }

  function destroy(): void {
    client.destroy();
    server.destroy();
  }

  const forget = toxics.onChange(lookAgain);
  const sideClosed = (other: Socket) => () => {
    if (!isHalfOpen) other.destroySoon();
    if (!client.destroyed || (!server.destroyed && !isHalfOpen)) return;
    forget();
    for (const timer of timers.values()) clearTimeout(timer);
    for (const stream of streams) stream.stop();
    onClose();
  };
  for (const [socket, other] of [
    [client, server],
    [server, client],
  ] as const) {
    // The `close` event follows, and ends the other side.
    socket.on('error', () => {});
    socket.on('close', sideClosed(other));
    socket.setNoDelay(true);
  }
  lookAgain();
  return { no, reset, destroy };
}
