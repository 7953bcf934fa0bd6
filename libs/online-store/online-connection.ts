/**
 * Connects to the online store, and provides a Redis Cluster as one connection. Commands are sent to the primaries of
 * their keys, with one write for each primary (connection.ts). A redirected command is sent again: to the new owner of
 * a slot (MOVED), or to the server that a slot is being moved to (ASK). If that server is not a known primary, the
 * redirection is returned as an error until the slots have been read again.
 *
 * A read of many users does not fail if one server does not answer. The lookups of a server that does not answer return
 * the error, and the reader reads only those users from Postgres.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseRedisAddress, type RedisAddress } from '@tandem/redis/redis-address';
import { ClusterTopology } from './cluster-topology.ts';
import { type OnlineConnection, type OnlineConnectionOptions, ServerConnection, unavailable } from './connection.ts';
import { type CommandLike, command, copyOf, isRefusal, type Lookup } from './pipelined-commands.ts';

/** The most redirections of a command. A key that moves during its lookup is redirected more than once. */
const MAX_REDIRECTIONS = 5;
/** Milliseconds before a command on several keys is sent again if only some of the keys have moved (TRYAGAIN). */
const TRY_AGAIN_MS = 10;
const RETRY_READY_MS = 50;

type ClusterAddress = Extract<RedisAddress, { kind: 'cluster' }>;

/** Connects to the server of the address, to the primary of its sentinels, or to its cluster. */
export function createOnlineConnection({ url, ...options }: OnlineConnectionOptions): OnlineConnection {
  const address = parseRedisAddress(url);
  return address.kind === 'cluster'
    ? createClusterConnection(address, options)
    : new ServerConnection(address.options, options);
}

/** Connects in the background. Never throws, and never ends the process by an unhandled error. */
function createClusterConnection(
  { seeds, login }: ClusterAddress,
  options: Omit<OnlineConnectionOptions, 'url'>,
): OnlineConnection {
  const { log, connectTimeoutMs = 500, commandTimeoutMs = 50 } = options;
  const topology = new ClusterTopology({
    ...{ seeds, log, connectTimeoutMs },
    connect: (server, logOfServer) =>
      new ServerConnection({ ...server, ...login }, { ...options, log: logOfServer, isOfCluster: true }),
  });
  const routed = createRouted(topology, commandTimeoutMs);
  const isOpen = () => topology.layout().shards.some(({ server }) => server.isOpen());

  return {
    serverId: createIdentity(topology),
    isCluster: true,
    isOpen,
    layout: () => topology.layout(),
    async send(commands) {
      if (!isOpen()) throw unavailable('no primary of the cluster is connected');
      const replies = await routed(commands, (server, some) => server.send(some), keyOfCommand, copyOf);
      const lost = replies.find((reply) => reply instanceof Error && !isRefusal(reply));
      if (lost) throw lost;
      return replies;
    },
    async ask(lookups) {
      if (!isOpen()) throw unavailable('no primary of the cluster is connected');
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
        if (left <= 0) throw unavailable(`the cluster did not answer CLUSTER SLOTS within ${timeoutMs} ms`);
        await pause(RETRY_READY_MS);
      }
    },
    close: () => topology.close(),
  };
}

const keyOfCommand = ({ routeKey, args }: CommandLike) => routeKey ?? String(args[0]);
const keyOfLookup = ([, key = '']: Lookup) => key;
const commandOf = ([name = '', ...args]: Lookup) => command(name, args);

/**
 * Creates a function that sends commands to the servers of their keys. It returns replies in order: the server's reply,
 * or the error if the server did not answer.
 */
function createRouted(topology: ClusterTopology, followWithinMs: number) {
  /**
   * Follows redirections: sends the command to the server that a reply names, and returns the first reply that names
   * none.
   * @param from the server that replied
   */
  async function follow(reply: unknown, from: ServerConnection, again: () => CommandLike): Promise<unknown> {
    const deadline = performance.now() + followWithinMs;
    let [last, server] = [reply, from];
    for (let left = MAX_REDIRECTIONS; left > 0; left--) {
      const redirection = redirectionOf(last);
      if (redirection === null || performance.now() >= deadline) return last;
      if (redirection.kind === 'TRYAGAIN') await pause(TRY_AGAIN_MS);
      else server = topology.serverAt(redirection, server);
      if (redirection.kind === 'MOVED') void topology.refresh();
      // A server that is not in the layout was not part of the identity that the reader checked, and it may hold an old
      // copy of the data.
      if (!topology.layout().shards.some((shard) => shard.server === server)) return last;
      try {
        await server.whenReady(Math.max(1, deadline - performance.now()));
        const isAsking = redirection.kind === 'ASK';
        last = (await server.send(isAsking ? [command('asking', []), again()] : [again()])).at(-1);
      } catch (error) {
        return error;
      }
    }
    return last;
  }

  return async <Q>(
    questions: readonly Q[],
    put: (server: ServerConnection, some: readonly Q[]) => Promise<readonly unknown[]>,
    keyOf: (question: Q) => string,
    again: (question: Q) => CommandLike,
  ): Promise<unknown[]> => {
    const layout = topology.layout();
    const replies: unknown[] = new Array(questions.length);
    const groups = Map.groupBy(questions.keys(), (place) => layout.shardOf(keyOf(questions[place] as Q)));
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
            const reply = found[i];
            replies[place] =
              server && isRefusal(reply) ? await follow(reply, server, () => again(questions[place] as Q)) : reply;
          }),
        );
      }),
    );
    return replies;
  };
}

type Redirection =
  | { readonly kind: 'TRYAGAIN' }
  | { readonly kind: 'MOVED' | 'ASK'; readonly host: string; readonly port: number };

/** Parses a redirection. Without a host, `host` is empty, which means the same host. */
function redirectionOf(reply: unknown): Redirection | null {
  if (!isRefusal(reply)) return null;
  if (reply.message.startsWith('TRYAGAIN')) return { kind: 'TRYAGAIN' };
  const [, kind, host = '', port] = /^(MOVED|ASK) \d+ (.*):(\d+)$/.exec(reply.message) ?? [];
  if (kind !== 'MOVED' && kind !== 'ASK') return null;
  return { kind, host: host === '?' ? '' : host, port: Number(port) };
}

/**
 * Returns a function for the identity of the primaries, which changes when one of them is replaced or restarted. The
 * identity is null while a connected primary has not reported its id. A primary that is not connected answers no reads,
 * and keeps its part of the identity. Slots that move between primaries do not change it, since the data were on one of
 * the primaries before. The identity is cached, since every read needs it.
 */
function createIdentity(topology: ClusterTopology): () => string | null {
  const ids = new Map<ServerConnection, string>();
  let of: readonly (string | undefined)[] = [];
  let identity: string | null = null;
  return () => {
    const { shards } = topology.layout();
    let isChanged = shards.length !== of.length;
    for (const [i, { server }] of shards.entries()) {
      const id = server.serverId();
      if (id === null && (server.redis.status === 'ready' || !ids.has(server))) return null;
      if (id !== null && ids.get(server) !== id) ids.set(server, id);
      isChanged ||= ids.get(server) !== of[i];
    }
    if (!isChanged) return identity;
    of = shards.map(({ server }) => ids.get(server));
    const held = new Set(shards.map(({ server }) => server));
    for (const server of ids.keys()) if (!held.has(server)) ids.delete(server);
    identity = of.length === 0 ? null : [...of].sort().join('+');
    return identity;
  };
}
