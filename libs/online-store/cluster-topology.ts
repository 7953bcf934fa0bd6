/// <reference path="./cluster-key-slot.d.ts" />
/**
 * Tracks the slots of the primaries of a Redis Cluster. They are read every few seconds, and at once when a connection
 * is lost or a server reports that a key has moved. Each primary has a separate connection.
 */
import type { HostAndPort } from '@tandem/redis/redis-address';
import { type Repeating, repeat } from '@tandem/timing/repeat';
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

const NO_LAYOUT: Layout = Object.freeze({ shards: [], shardOf: () => -1 });

export class ClusterTopology {
  readonly #options: TopologyOptions;
  readonly #servers = new Map<string, ServerConnection>();
  /** Connections to former primaries, which are closed after a while. */
  readonly #leaving = new Set<ServerConnection>();
  readonly #repeating: Repeating;
  #layout = NO_LAYOUT;
  /** The last reply with slots, as a text. An equal text needs no new layout. */
  #known = '';
  #asking: Promise<void> | null = null;
  #askedAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(options: TopologyOptions) {
    this.#options = options;
    this.#repeating = repeat(REFRESH_EVERY_MS, () => this.refresh());
  }

  layout(): Layout {
    return this.#layout;
  }

  /**
   * Returns the connection to a server, and creates it if there is none.
   * @param near a server with the host that replaces an empty host
   */
  serverAt({ host, port }: HostAndPort, near?: ServerConnection): ServerConnection {
    const address = { host: host || (near?.redis.options.host ?? ''), port };
    const name = nameOf(address);
    const open = this.#servers.get(name);
    if (open) return open;
    const server = this.#options.connect(address, (event, fields) => {
      this.#options.log(event, { ...fields, server: name });
      if (event === 'online_store.lost') void this.refresh();
    });
    this.#servers.set(name, server);
    if (this.#isClosed) server.close();
    return server;
  }

  /** Reads the slots of the cluster. Concurrent calls share one request. Never rejects. */
  refresh(): Promise<void> {
    if (this.#asking) return this.#asking;
    if (this.#isClosed || performance.now() - this.#askedAt < LEAST_PAUSE_MS) return Promise.resolve();
    this.#asking = this.#ask().finally(() => {
      this.#asking = null;
      this.#askedAt = performance.now();
    });
    return this.#asking;
  }

  close(): void {
    this.#isClosed = true;
    void this.#repeating.stop();
    for (const server of [...this.#servers.values(), ...this.#leaving]) server.close();
  }

  async #ask(): Promise<void> {
    const ranges = await this.#askForSlots();
    const told = JSON.stringify(ranges);
    if (ranges === null || this.#isClosed || told === this.#known) return;
    this.#known = told;
    this.#layout = layoutOf(ranges, (address) => this.serverAt(address));
    const held = new Set(this.#layout.shards.map(({ server }) => server));
    for (const [name, server] of this.#servers) if (!held.has(server)) this.#leave(name, server);
    this.#options.log('online_store.cluster_changed', { primaries: this.#layout.shards.length });
  }

  /**
   * Returns the slots from one of the servers; null if none answers. A server that has left the cluster returns old
   * slots, with a state that is not ok. Its reply is used only if no other server answers.
   */
  async #askForSlots(): Promise<readonly SlotRange[] | null> {
    const { seeds, connectTimeoutMs, log } = this.#options;
    let doubtful: readonly SlotRange[] | null = null;
    const open = [...this.#servers].filter(([, server]) => server.isOpen());
    const candidates = open.length > 0 ? open : seeds.map((seed) => [nameOf(seed), this.serverAt(seed)] as const);
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

  #leave(name: string, server: ServerConnection): void {
    this.#servers.delete(name);
    this.#leaving.add(server);
    const close = () => {
      this.#leaving.delete(server);
      server.close();
    };
    setTimeout(close, LINGER_MS).unref();
  }
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
