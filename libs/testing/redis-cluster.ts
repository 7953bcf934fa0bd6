/** A real Redis Cluster on this machine: primaries with a replica each, closed by a password, without files. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { findFreePort } from '@tandem/local-servers/ports';
import { findRedis } from '@tandem/local-servers/redis-find';
import type { RedisLaunch } from '@tandem/local-servers/redis-launch';
import { type ServerProcess, startServerProcess } from '@tandem/local-servers/server-process';
import { connectServer, type ServerConnection } from '@tandem/online-store/connection';
import { command } from '@tandem/online-store/pipelined-commands';

const SLOTS = 16_384;
const HOST = '127.0.0.1';
const READY_WITHIN_MS = 60_000;
/** A primary that is silent for so long is replaced by its replica. */
const NODE_TIMEOUT_MS = 1_500;

export interface RedisClusterNode {
  readonly port: number;
  readonly pid: number;
  /** Sends a command; a refusal rejects. */
  send(name: string, ...args: string[]): Promise<unknown>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, with nothing but its place in the cluster. */
  restart(): Promise<void>;
}

export interface RedisCluster {
  /** `redis+cluster://…` of all nodes. */
  readonly url: string;
  /** The primaries first, then a replica of each in the same order. */
  readonly nodes: readonly RedisClusterNode[];
  /** Moves slots with their keys, one after the other, as `redis-cli --cluster reshard` does. */
  moveSlots(from: RedisClusterNode, to: RedisClusterNode, slots: readonly number[]): Promise<void>;
  /** Resolves when all slots are served. */
  whenWhole(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRedisCluster({ primaries = 3 } = {}): Promise<RedisCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-cluster-'));
  const launch = await findRedis({
    ...{ serverDir: join(tmpdir(), 'tandem-test-redis'), folder, path: process.env.PATH, log: () => {} },
    asRoot: process.getuid?.() === 0,
  });
  const password = randomBytes(12).toString('hex');
  const nodes: Node[] = [];
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    for (let i = 0; i < primaries * 2; i++) {
      nodes.push(await startNode({ launch, password, folder: join(folder, String(i)) }));
    }
    await assemble(nodes, primaries);
  } catch (error) {
    await stop();
    throw error;
  }
  const whenWhole = () =>
    waitUntil(async () => (await infoOf(nodes.find(isRunning) as Node)).includes('cluster_state:ok'));
  return {
    url: `redis+cluster://:${password}@${nodes.map(({ port }) => `${HOST}:${port}`).join(',')}`,
    ...{ nodes, stop, whenWhole },
    async moveSlots(from, to, slots) {
      const [fromId, toId] = [await idOf(from), await idOf(to)];
      for (const slot of slots.map(String)) {
        await to.send('cluster', 'SETSLOT', slot, 'IMPORTING', fromId);
        await from.send('cluster', 'SETSLOT', slot, 'MIGRATING', toId);
        for (;;) {
          const keys = (await from.send('cluster', 'GETKEYSINSLOT', slot, '100')) as Buffer[];
          if (keys.length === 0) break;
          const names = keys.map((key) => key.toString());
          await from.send('migrate', HOST, String(to.port), '', '0', '5000', 'AUTH', password, 'KEYS', ...names);
        }
        for (const node of [to, from]) await node.send('cluster', 'SETSLOT', slot, 'NODE', toId);
      }
    },
  };
}

interface Node extends RedisClusterNode {
  readonly busPort: number;
  isRunning(): boolean;
}

interface NodeOptions {
  readonly launch: RedisLaunch;
  readonly password: string;
  readonly folder: string;
}

async function startNode({ launch, password, folder }: NodeOptions): Promise<Node> {
  mkdirSync(folder);
  const [port, busPort] = [await findFreePort(), await findFreePort()];
  const settingsFile = join(folder, 'redis.conf');
  const settings = {
    ...{ bind: HOST, port, 'cluster-port': busPort, 'cluster-enabled': 'yes', 'cluster-node-timeout': NODE_TIMEOUT_MS },
    ...{ 'cluster-announce-ip': HOST, requirepass: password, masterauth: password, dir: folder, save: '""' },
    ...{ appendonly: 'no', 'maxmemory-policy': 'noeviction', 'repl-diskless-sync-delay': 0 },
  };
  writeFileSync(
    settingsFile,
    Object.entries(settings)
      .map((pair) => `${pair.join(' ')}\n`)
      .join(''),
  );
  let server: ServerProcess;
  let connection: ServerConnection;
  async function start() {
    const run = launch.command(port, settingsFile);
    server = startServerProcess({ ...run, cwd: folder, outputFile: join(folder, 'server.log') });
    const limits = { commandTimeoutMs: 10_000, socketTimeoutMs: 10_000, connectTimeoutMs: 2_000, log: () => {} };
    connection = connectServer({ host: HOST, port, password }, limits);
    await connection.whenReady(READY_WITHIN_MS);
  }
  await start();
  return {
    ...{ port, busPort },
    get pid() {
      return server.pid;
    },
    isRunning: () => !server.hasExited(),
    async send(name, ...args) {
      const [reply] = await connection.send([command(name, args)]);
      if (reply instanceof Error) throw reply;
      return reply;
    },
    async kill() {
      connection.close();
      if (!server.hasExited()) process.kill(server.pid, 'SIGKILL');
      await server.exited;
    },
    restart: start,
  };
}

const isRunning = (node: Node) => node.isRunning();
const infoOf = async (node: RedisClusterNode) => String(await node.send('cluster', 'INFO'));
const idOf = async (node: RedisClusterNode) => String(await node.send('cluster', 'MYID'));

/** Shares the slots out, makes the nodes known to each other, and gives each primary its replica. */
async function assemble(nodes: readonly Node[], primaries: number): Promise<void> {
  const [first] = nodes as [Node];
  const share = Math.ceil(SLOTS / primaries);
  for (const [i, node] of nodes.entries()) {
    await node.send('cluster', 'SET-CONFIG-EPOCH', String(i + 1));
    if (i >= primaries) continue;
    const last = Math.min((i + 1) * share, SLOTS) - 1;
    await node.send('cluster', 'ADDSLOTSRANGE', String(i * share), String(last));
  }
  for (const { port, busPort } of nodes) await first.send('cluster', 'MEET', HOST, String(port), String(busPort));
  const knowsAll = async (node: Node) => {
    const info = await infoOf(node);
    return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes.length}`);
  };
  await waitUntil(async () => (await Promise.all(nodes.map(knowsAll))).every(Boolean));
  for (const [i, replica] of nodes.slice(primaries).entries()) {
    await replica.send('cluster', 'REPLICATE', await idOf(nodes[i] as Node));
  }
  const isLinked = async (node: Node) =>
    String(await node.send('info', 'replication')).includes('master_link_status:up');
  await waitUntil(async () => (await Promise.all(nodes.slice(primaries).map(isLinked))).every(Boolean));
}

async function waitUntil(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > deadline) throw new Error('the cluster was not ready in time');
    await pause(50);
  }
}
