/**
 * A Redis Cluster as one connection. Commands go to the primaries that hold their keys, those of one primary in one write
 * (connection.ts). What a server redirects is sent once more: to the new owner of a slot (MOVED), or to the server that a
 * slot is being moved to (ASK).
 *
 * A read of many users is not lost with one server: the lookups of a server that does not answer have the error in their
 * place, and the reader goes on to Postgres for those users alone.
 */
import type { HostAndPort, RedisAddress } from '@tandem/redis/redis-address';
import { type ClusterTopology, createClusterTopology } from './cluster-topology.ts';
import {
  connectServer,
  type Layout,
  type OnlineConnection,
  type OnlineConnectionOptions,
  type ServerConnection,
  unavailable,
} from './connection.ts';
import { type CommandLike, command, copyOf, isRefusal, type Lookup } from './pipelined-commands.ts';

/** A key that moves while it is asked for is redirected more than once. */
const MAX_REDIRECTIONS = 5;
const RETRY_READY_MS = 50;

type ClusterAddress = Extract<RedisAddress, { kind: 'cluster' }>;

/** Connects in the background; never throws, never ends the process by an unhandled error. */
export function createClusterConnection(
  { seeds, login }: ClusterAddress,
  options: Omit<OnlineConnectionOptions, 'url'>,
): OnlineConnection {
  const { log, connectTimeoutMs = 500 } = options;
  const topology = createClusterTopology({
    ...{ seeds, log, connectTimeoutMs },
    connect: (server, logOfServer) =>
      connectServer({ ...server, ...login }, { ...options, log: logOfServer, isOfCluster: true }),
  });
  const routed = createRouted(topology, connectTimeoutMs);
  const isOpen = () => topology.layout().shards.some(({ server }) => server.isOpen());

  return {
    serverId: createIdentity(topology),
    isCluster: true,
    isOpen,
    layout: topology.layout,
    async send(commands) {
      if (!isOpen()) throw unavailable('the cluster is not connected, or hangs');
      const replies = await routed(commands, (server, some) => server.send(some), keyOfCommand, copyOf);
      const lost = replies.find((reply) => reply instanceof Error && !isRefusal(reply));
      if (lost) throw lost;
      return replies;
    },
    async ask(lookups) {
      if (!isOpen()) throw unavailable('the cluster is not connected, or hangs');
      const replies = await routed(lookups, (server, some) => server.ask(some), keyOfLookup, commandOf);
      const isLost = (reply: unknown) => reply instanceof Error && !isRefusal(reply);
      if (replies.length > 0 && replies.every(isLost)) throw replies[0];
      return replies;
    },
    async whenReady(timeoutMs) {
      const deadline = performance.now() + timeoutMs;
      for (;;) {
        await topology.refresh();
        const { shards } = topology.layout();
        const left = deadline - performance.now();
        if (shards.length > 0) {
          await Promise.all(shards.map(({ server }) => server.whenReady(Math.max(1, left))));
          return;
        }
        if (left <= 0) throw unavailable(`the cluster did not tell its slots within ${timeoutMs} ms`);
        await new Promise((resolve) => setTimeout(resolve, RETRY_READY_MS));
      }
    },
    close: topology.close,
  };
}

const keyOfCommand = ({ routeKey, args }: CommandLike) => routeKey ?? String(args[0]);
const keyOfLookup = ([, key = '']: Lookup) => key;
const commandOf = ([name = '', ...args]: Lookup) => command(name, args);

/**
 * Sends questions to the servers that hold their keys. Each has its reply in its place: what the server said, or the error
 * where it did not answer.
 */
function createRouted(topology: ClusterTopology, connectTimeoutMs: number) {
  /** What the server that a reply names says; the reply itself where it names none. */
  async function follow(reply: unknown, again: () => CommandLike, left = MAX_REDIRECTIONS): Promise<unknown> {
    const redirection = redirectionOf(reply);
    if (redirection === null || left === 0) return reply;
    if (!redirection.isAsking) void topology.refresh();
    try {
      const server = topology.serverAt(redirection.server);
      await server.whenReady(connectTimeoutMs);
      const replies = await server.send(redirection.isAsking ? [command('asking', []), again()] : [again()]);
      return await follow(replies.at(-1), again, left - 1);
    } catch (error) {
      return error;
    }
  }

  return async <Q>(
    questions: readonly Q[],
    put: (server: ServerConnection, some: readonly Q[]) => Promise<readonly unknown[]>,
    keyOf: (question: Q) => string,
    again: (question: Q) => CommandLike,
  ): Promise<unknown[]> => {
    const layout = topology.layout();
    const replies: unknown[] = new Array(questions.length);
    const groups = groupByShard(questions, keyOf, layout);
    await Promise.all(
      [...groups].map(async ([shard, places]) => {
        const server = layout.shards[shard]?.server;
        const some = places.map((place) => questions[place] as Q);
        const found = server
          ? await put(server, some).catch((error: unknown) => some.map(() => error))
          : some.map(() => unavailable('the cluster assigns the slot to no server'));
        const isLost = found.some((reply) => reply instanceof Error && !isRefusal(reply));
        if (isLost) void topology.refresh();
        await Promise.all(
          places.map(async (place, i) => {
            replies[place] = await follow(found[i], () => again(questions[place] as Q));
          }),
        );
      }),
    );
    return replies;
  };
}

function groupByShard<Q>(questions: readonly Q[], keyOf: (question: Q) => string, { shardOf }: Layout) {
  const groups = new Map<number, number[]>();
  questions.forEach((question, place) => {
    const shard = shardOf(keyOf(question));
    const places = groups.get(shard);
    if (places) places.push(place);
    else groups.set(shard, [place]);
  });
  return groups;
}

interface Redirection {
  readonly isAsking: boolean;
  readonly server: HostAndPort;
}

function redirectionOf(reply: unknown): Redirection | null {
  if (!isRefusal(reply)) return null;
  const [, kind, host, port] = /^(MOVED|ASK) \d+ (.+):(\d+)$/.exec(reply.message) ?? [];
  if (!kind || !host) return null;
  return { isAsking: kind === 'ASK', server: { host, port: Number(port) } };
}

/** Another text after each change of a primary or of what it holds. Asked for with every read, hence remembered. */
function createIdentity(topology: ClusterTopology): () => string | null {
  let of: Layout | null = null;
  let ids: readonly string[] = [];
  let identity: string | null = null;
  let layouts = 0;
  return () => {
    const layout = topology.layout();
    const { shards } = layout;
    if (layout === of && shards.every(({ server }, i) => server.serverId() === ids[i])) return identity;
    const found = shards.map(({ server }) => server.serverId());
    if (found.length === 0 || found.includes(null)) return null;
    if (layout !== of) layouts++;
    of = layout;
    ids = found as string[];
    identity = `${layouts}:${ids.join('+')}`;
    return identity;
  };
}
