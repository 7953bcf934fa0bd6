/// <reference path="./cluster-key-slot.d.ts" />
/**
 * Tracks the slots of the primaries of a Redis Cluster. They are read every few seconds, and at once when a connection
 * is lost or a server reports that a key has moved. Each primary has a separate connection.
 */
import type { HostAndPort } from '@tandem/redis/redis-address';
import { repeat } from '@tandem/timing/repeat';
import calculateSlot from 'cluster-key-slot';
import type { Layout, OnlineLog, ServerConnection, Shard } from './connection.ts';
import { command } from './pipelined-commands.ts';

const SLOTS = 16_384;
const UNASSIGNED = 0xffff;
const REFRESH_EVERY_MS = 2_000;
/** Milliseconds for which the connection to a former primary stays open, for commands under way. */
const LINGER_MS = 5_000;
/** The least time between two reads of the slots in ms, even if many reads find a lost primary. */
const LEAST_PAUSE_MS = 100;

interface TopologyOptions {
  readonly seeds: readonly HostAndPort[];
  connect(address: HostAndPort, log: OnlineLog): ServerConnection;
  readonly log: OnlineLog;
  readonly connectTimeoutMs: number;
}

export interface ClusterTopology {
  layout(): Layout;
  /**
   * Returns the connection to a server, and creates it if there is none.
   * @param near a server with the host that replaces an empty host
   */
  serverAt(address: HostAndPort, near?: ServerConnection): ServerConnection;
  /** Reads the slots of the cluster. Concurrent calls share one request. Never rejects. */
  refresh(): Promise<void>;
  close(): void;
}

const NO_LAYOUT: Layout = Object.freeze({ shards: [], shardOf: () => -1 });

export function createClusterTopology(options: TopologyOptions): ClusterTopology {
  const { seeds, connect, log, connectTimeoutMs } = options;
  const servers = new Map<string, ServerConnection>();
  let layout = NO_LAYOUT;
  /** The last reply with slots, as a text. An equal text needs no new layout. */
  let known = '';
  let asking: Promise<void> | null = null;
  let askedAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;
  const leaving = new Set<ServerConnection>();

  function serverAt({ host, port }: HostAndPort, near?: ServerConnection): ServerConnection {
    const address = { host: host || (near?.redis.options.host ?? ''), port };
    const name = nameOf(address);
    const open = servers.get(name);
    if (open) return open;
    const server = connect(address, (event, fields) => {
      log(event, { ...fields, server: name });
      if (event === 'online_store.lost') void refresh();
    });
    servers.set(name, server);
    if (isClosed) server.close();
    return server;
  }

  /**
   * Returns the slots from one of the servers; null if none answers. A server that has left the cluster returns old
   * slots, with a state that is not ok. Its reply is used only if no other server answers.
   */
  async function askForSlots(): Promise<readonly SlotRange[] | null> {
    let doubtful: readonly SlotRange[] | null = null;
    const open = [...servers].filter(([, server]) => server.isOpen());
    const candidates = open.length > 0 ? open : seeds.map((seed) => [nameOf(seed), serverAt(seed)] as const);
    for (const [name, server] of candidates) {
      try {
        await server.whenReady(connectTimeoutMs);
        const [reply, info] = await server.send([command('cluster', ['SLOTS']), command('cluster', ['INFO'])]);
        const ranges = readRanges(reply, name);
        if (ranges !== null && String(info).includes('cluster_state:ok')) return ranges;
        doubtful ??= ranges;
        if (reply instanceof Error) log('online_store.cluster_refused', { server: name, error: reply.message });
      } catch {
        // The next server may answer.
      }
    }
    return doubtful;
  }

  async function ask(): Promise<void> {
    const ranges = await askForSlots();
    const told = JSON.stringify(ranges);
    if (ranges === null || isClosed || told === known) return;
    known = told;
    layout = layoutOf(ranges, serverAt);
    const held = new Set(layout.shards.map(({ server }) => server));
    for (const [name, server] of servers) {
      if (held.has(server)) continue;
      servers.delete(name);
      leaving.add(server);
      const leave = () => {
        leaving.delete(server);
        server.close();
      };
      setTimeout(leave, LINGER_MS).unref();
    }
    log('online_store.cluster_changed', { primaries: layout.shards.length });
  }

  function refresh(): Promise<void> {
    if (isClosed || (asking === null && performance.now() - askedAt < LEAST_PAUSE_MS))
      return asking ?? Promise.resolve();
    asking ??= ask().finally(() => {
      asking = null;
      askedAt = performance.now();
    });
    return asking;
  }

  const repeating = repeat(REFRESH_EVERY_MS, refresh);
  return {
    layout: () => layout,
    serverAt,
    refresh,
    close() {
      isClosed = true;
      void repeating.stop();
      for (const server of [...servers.values(), ...leaving]) server.close();
    },
  };
}

function nameOf({ host, port }: HostAndPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

interface SlotRange extends HostAndPort {
  readonly first: number;
  readonly last: number;
}

/**
 * Parses a reply of CLUSTER SLOTS; null if it is not one. A server that does not know its own host leaves the host
 * empty.
 */
function readRanges(reply: unknown, asked: string): readonly SlotRange[] | null {
  if (!Array.isArray(reply) || reply.length === 0) return null;
  const askedHost = asked.slice(0, asked.lastIndexOf(':')).replaceAll(/[[\]]/g, '');
  return reply.map((parts: readonly unknown[]) => {
    const [first, last, primary] = parts as [number, number, readonly [Buffer | null, number]];
    const host = primary[0]?.toString() ?? '';
    return { first, last, host: host === '' || host === '?' ? askedHost : host, port: primary[1] };
  });
}

function layoutOf(ranges: readonly SlotRange[], serverAt: ClusterTopology['serverAt']): Layout {
  const numbers = new Map<string, number>();
  const owners = new Uint16Array(SLOTS).fill(UNASSIGNED);
  const found: ServerConnection[] = [];
  for (const { first, last, host, port } of ranges) {
    const name = nameOf({ host, port });
    const number = numbers.get(name) ?? found.push(serverAt({ host, port })) - 1;
    numbers.set(name, number);
    owners.fill(number, first, last + 1);
  }
  const shards = found.map((server, number): Shard => ({ tag: tagOf(owners, number), server }));
  return Object.freeze({
    shards,
    shardOf(key: string) {
      const owner = owners[calculateSlot(key)] as number;
      return owner === UNASSIGNED ? -1 : owner;
    },
  });
}

/**
 * Returns the first whole number with a slot of the server. All processes find the same number, so they share the keys
 * under this hash tag.
 */
function tagOf(owners: Uint16Array, number: number): string {
  // A server has no slot only if the reply also assigns all of its slots to other servers.
  if (!owners.includes(number)) return '';
  let tag = 0;
  while (owners[calculateSlot(String(tag))] !== number) tag++;
  return String(tag);
}
