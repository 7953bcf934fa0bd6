/** Starts a real Redis Cluster on this machine, with a replica for each primary. */
import { findFreePort } from '@tandem/local-servers/ports';
import {
  createRedisServers,
  isInSync,
  LOOPBACK,
  type RedisServer,
  type RedisServers,
  waitUntil,
} from './redis-servers.ts';

const SLOTS = 16_384;
/** Milliseconds without an answer after which a replica replaces a primary. */
const NODE_TIMEOUT_MS = 1_500;

export type RedisCluster = Awaited<ReturnType<typeof startRedisCluster>>;

export async function startRedisCluster({ primaries = 3 } = {}) {
  const servers = await createRedisServers();
  const { password } = servers;
  const nodes: Node[] = [];
  try {
    for (let i = 0; i < primaries * 2; i++) nodes.push(await startNode(servers));
    await assemble(nodes, primaries);
  } catch (error) {
    await servers.stop();
    throw error;
  }
  return {
    /** The address of all nodes: `redis+cluster://…`. */
    url: `redis+cluster://:${password}@${nodes.map(({ server }) => `${LOOPBACK}:${server.port}`).join(',')}`,
    /** The primaries, then a replica of each in the same order. */
    nodes: nodes.map(({ server }) => server),
    stop: servers.stop,
    /** Resolves when all slots are served. */
    whenWhole: () =>
      waitUntil('all slots are served', async () => {
        const running = nodes.filter(({ server }) => server.isRunning());
        const infos = await Promise.all(running.map(({ server }) => infoOf(server)));
        return infos.every((info) => info.includes('cluster_state:ok'));
      }),
    /** Moves slots with their keys, one after the other, as `redis-cli --cluster reshard` does. */
    async moveSlots(from: RedisServer, to: RedisServer, slots: readonly number[]) {
      const [fromId, toId] = [await idOf(from), await idOf(to)];
      for (const slot of slots.map(String)) {
        await to.send('cluster', 'SETSLOT', slot, 'IMPORTING', fromId);
        await from.send('cluster', 'SETSLOT', slot, 'MIGRATING', toId);
        for (;;) {
          const keys = (await from.send('cluster', 'GETKEYSINSLOT', slot, '100')) as Buffer[];
          if (keys.length === 0) break;
          const names = keys.map((key) => key.toString());
          await from.send('migrate', LOOPBACK, String(to.port), '', '0', '5000', 'AUTH', password, 'KEYS', ...names);
        }
        for (const node of [to, from]) await node.send('cluster', 'SETSLOT', slot, 'NODE', toId);
      }
    },
  };
}

interface Node {
  readonly server: RedisServer;
  readonly busPort: number;
}

async function startNode(servers: RedisServers): Promise<Node> {
  const busPort = await findFreePort();
  const server = await servers.start({
    ...{ 'cluster-enabled': 'yes', 'cluster-port': busPort, 'cluster-node-timeout': NODE_TIMEOUT_MS },
    ...{ 'cluster-announce-ip': LOOPBACK, masterauth: servers.password, save: '""' },
    ...{ 'maxmemory-policy': 'noeviction', 'repl-diskless-sync-delay': 0 },
  });
  return { server, busPort };
}

const infoOf = async (server: RedisServer) => String(await server.send('cluster', 'INFO'));
const idOf = async (server: RedisServer) => String(await server.send('cluster', 'MYID'));

/** Distributes the slots, connects the nodes, and assigns a replica to each primary. */
async function assemble(nodes: readonly Node[], primaries: number): Promise<void> {
  const servers = nodes.map(({ server }) => server);
  const [first] = servers as [RedisServer];
  const share = Math.ceil(SLOTS / primaries);
  for (const [i, server] of servers.entries()) {
    await server.send('cluster', 'SET-CONFIG-EPOCH', String(i + 1));
    if (i >= primaries) continue;
    await server.send('cluster', 'ADDSLOTSRANGE', String(i * share), String(Math.min((i + 1) * share, SLOTS) - 1));
  }
  for (const { server, busPort } of nodes) {
    await first.send('cluster', 'MEET', LOOPBACK, String(server.port), String(busPort));
  }
  await waitUntil('the nodes know each other', async () => {
    const infos = await Promise.all(servers.map(infoOf));
    return infos.every((info) => info.includes('cluster_state:ok') && info.includes(`known_nodes:${nodes.length}`));
  });
  const replicas = servers.slice(primaries);
  for (const [i, replica] of replicas.entries()) {
    await replica.send('cluster', 'REPLICATE', await idOf(servers[i] as RedisServer));
  }
  await waitUntil('the replicas are in sync', async () => (await Promise.all(replicas.map(isInSync))).every(Boolean));
}
