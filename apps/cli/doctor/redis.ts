/**
 * Checks the Redis of the queue and of the online store: reads its settings, tries Tandem's commands on a short-lived
 * key, and judges the results.
 */
import { randomUUID } from 'node:crypto';
import { type Finding, failed, ok, warning } from '@tandem/commands/output/finding';
import type { OnlineConnection, ServerConnection, Shard } from '@tandem/online-store/connection';
import { command, isRefusal } from '@tandem/online-store/pipelined-commands';
import { withRedis } from './reach-redis.ts';

/** Reads the facts of the server, or of each primary of a cluster. Rejects if one does not answer. */
export function readRedisFacts(url: string, holdsQueue: boolean, withinMs?: number): Promise<readonly RedisFacts[]> {
  const readAll = async (connection: OnlineConnection) => {
    const facts = await Promise.all(connection.layout().shards.map((shard) => readFacts(shard, holdsQueue)));
    if (facts.some(({ role }) => role === 'sentinel')) throw new Error('it is a Sentinel');
    return facts;
  };
  return withRedis(url, readAll, withinMs);
}

export type RedisFacts = Awaited<ReturnType<typeof readFacts>>;

async function readFacts({ tag, server }: Shard, holdsQueue: boolean) {
  const [info, limit] = await server.send([
    command('info', []),
    command('config', ['get', 'hash-max-listpack-entries']),
  ]);
  const entries = Array.isArray(limit) ? Number(String(limit[1] ?? '')) : Number.NaN;
  return {
    ...parseInfo(isRefusal(info) ? '' : String(info)),
    /** The most fields with which a hash keeps its compact form; null if unknown. */
    maxListpackEntries: Number.isSafeInteger(entries) ? entries : null,
    /** Commands that this user may not execute. */
    refused: await tryRights(server, tag),
    /** Whether this server stores BullMQ's jobs. */
    holdsQueue,
    /** Whether the address says that the server is a node of a Redis Cluster. */
    isAddressedAsCluster: tag !== '',
  };
}

/**
 * Returns the relevant fields of an INFO reply. Valkey reports both its version and the Redis version that it emulates.
 */
export function parseInfo(info: string) {
  const lines = info.matchAll(/^(\w+):(.*?)\r?$/gm);
  const fields = new Map(Array.from(lines, ([, name = '', value = '']) => [name, value]));
  const valkey = fields.get('valkey_version');
  const mode = fields.get('redis_mode') ?? fields.get('server_mode');
  return {
    server: valkey === undefined ? 'Redis' : 'Valkey',
    /** The version of the server; null if this user may not query it. */
    version: valkey ?? fields.get('redis_version') ?? null,
    /** The role: `master`, `slave` or `sentinel`. */
    role: mode === 'sentinel' ? mode : (fields.get('role') ?? 'unknown'),
    isCluster: mode === 'cluster',
    /** The eviction policy, for example `noeviction` or `allkeys-lru`; null if unknown. */
    policy: fields.get('maxmemory_policy') ?? null,
    /** The memory limit in bytes; 0: no limit. */
    maxMemory: Number(fields.get('maxmemory') ?? 0),
    usedMemory: Number(fields.get('used_memory') ?? 0),
  };
}

/**
 * Tries the commands that the online store and BullMQ use, on keys that no other client uses. Returns the commands that
 * this user may not execute.
 * @param tag a hash tag of keys that this server of a cluster stores
 */
async function tryRights(connection: ServerConnection, tag: string): Promise<string[]> {
  const key = `tandem:doctor:${tag === '' ? '' : `{${tag}}:`}${randomUUID()}`;
  const commands = [
    command('info', ['memory']),
    command('set', [key, '1', 'PX', '1000']),
    command('get', [key]),
    command('mget', [key]),
    command('hset', [`${key}:h`, 'f', 'v']),
    command('hmget', [`${key}:h`, 'f']),
    command('hlen', [`${key}:h`]),
    command('hdel', [`${key}:h`, 'f']),
    command('sadd', [`${key}:s`, 'm']),
    command('smembers', [`${key}:s`]),
    command('srem', [`${key}:s`, 'm']),
    command('scan', ['0', 'COUNT', '1']),
    command('eval', ['return 1', '1', key]),
    command('unlink', [key, `${key}:h`]),
  ];
  const replies = await connection.send(commands);
  const isRefused = (reply: unknown) => isRefusal(reply) && reply.message.startsWith('NOPERM');
  return commands.filter((_, i) => isRefused(replies[i])).map(({ name }) => name);
}

/** The releases with which the tests were run. */
const OLDEST_MAJOR = 7;
const NEWEST_MAJOR = 8;
const MB = 1024 * 1024;
/**
 * The least limit of fields with which a user takes little memory: buckets contain 48 users on average, and with a
 * limit below twice that number, a user takes five times the memory.
 */
const LISTPACK_ENTRIES_WANTED = 96;

/** Returns one finding for each subject, the worst of all servers. */
export function judgeRedis(servers: readonly RedisFacts[]): Finding[] {
  return [judgeVersion, judgeRights, judgePolicy, judgeMemory].flatMap((judge) => {
    const findings = servers.map(judge);
    const worst = findings.find(({ level }) => level === 'error') ?? findings.find(({ level }) => level === 'warning');
    return worst ?? findings.slice(0, 1);
  });
}

function judgeVersion({ server, version, role, isCluster, isAddressedAsCluster }: RedisFacts): Finding {
  if (version === null) {
    const remedy = 'let the user run INFO: acl setuser … +info';
    return warning('redis', 'the server does not show its version to this user', remedy);
  }
  const major = Number.parseInt(version, 10);
  if (major < OLDEST_MAJOR)
    return failed('redis', `${server} ${version} is too old`, 'use Redis 7 or newer, or Valkey');
  if (isCluster && !isAddressedAsCluster) {
    const remedy = 'write redis+cluster:// instead of redis:// (rediss+cluster:// with TLS)';
    const text = `${server} ${version} is a node of a cluster, but the address names a single server`;
    return failed('redis', text, remedy);
  }
  if (role !== 'master') {
    const remedy = 'set REDIS_URL to the master: a replica rejects writes';
    return failed('redis', `${server} ${version}, but it is a replica`, remedy);
  }
  if (major > NEWEST_MAJOR) {
    return warning('redis', `${server} ${version} is newer than the tested versions`, `use Redis 7 or 8, or Valkey 8`);
  }
  return ok('redis', `${server} ${version}${isCluster ? ', a cluster' : ''}`);
}

function judgeRights({ refused }: RedisFacts): Finding {
  if (refused.length === 0) return ok('rights', 'this user may execute every command that is used');
  const missing = refused.filter((name) => name !== 'info');
  if (missing.length === 0) {
    const cost = 'the eviction policy is unknown, and an API uses no predictions from this Redis';
    return warning('rights', `this user may not execute INFO: ${cost}`, 'acl setuser <user> +info');
  }
  const remedy = `acl setuser <user> ${refused.map((name) => `+${name}`).join(' ')} (and ~* for its keys)`;
  return failed('rights', `this user may not execute ${refused.join(', ').toUpperCase()}`, remedy);
}

function judgePolicy({ policy, holdsQueue }: RedisFacts): Finding {
  if (policy === null) return ok('eviction', 'maxmemory-policy is not readable by this user');
  if (policy === 'noeviction' || !holdsQueue) return ok('eviction', `maxmemory-policy ${policy}`);
  const remedy = 'config set maxmemory-policy noeviction; or give the queue a separate Redis: QUEUE_REDIS_URL';
  return failed('eviction', `maxmemory-policy is ${policy}: Redis would evict jobs of the queue`, remedy);
}

function judgeMemory({ usedMemory, maxMemory, maxListpackEntries }: RedisFacts): Finding {
  const used = Math.ceil(usedMemory / MB);
  if (maxListpackEntries !== null && maxListpackEntries < LISTPACK_ENTRIES_WANTED) {
    const text = `hash-max-listpack-entries is ${maxListpackEntries}: a stored user costs about 100 bytes instead of 25`;
    return warning('memory', text, 'config set hash-max-listpack-entries 128, in redis.conf too');
  }
  if (maxMemory === 0) return ok('memory', `${used} MB used, no limit`);
  const limit = Math.floor(maxMemory / MB);
  if (usedMemory < maxMemory * 0.8) return ok('memory', `${used} of ${limit} MB used`);
  const remedy = 'raise maxmemory; a generation takes about 26 bytes for each user, and three generations are kept';
  return warning('memory', `${used} of ${limit} MB used`, remedy);
}
