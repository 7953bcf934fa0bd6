/** Starts a real primary with a replica, and sentinels that promote the replica when the primary fails. */
import { createRedisServers, isInSync, LOOPBACK, type RedisServer, waitUntil } from './redis-servers.ts';

const NAME = 'main';
const SENTINELS = 3;
const QUORUM = 2;

export async function startRedisSentinel() {
  const servers = await createRedisServers();
  try {
    const { password } = servers;
    const data = { masterauth: password, save: '""', 'maxmemory-policy': 'noeviction', 'repl-diskless-sync-delay': 0 };
    const primary = await servers.start(data);
    const replica = await servers.start({ ...data, replicaof: `${LOOPBACK} ${primary.port}` });
    await waitUntil('the replica is in sync', () => isInSync(replica));
    const monitor = { 'sentinel monitor': `${NAME} ${LOOPBACK} ${primary.port} ${QUORUM}` };
    const sentinels: RedisServer[] = [];
    for (let i = 0; i < SENTINELS; i++) sentinels.push(await servers.start(monitor, ['--sentinel']));
    for (const sentinel of sentinels) {
      const settings = { 'auth-pass': password, 'down-after-milliseconds': 1_000, 'failover-timeout': 5_000 };
      for (const [name, value] of Object.entries(settings))
        await sentinel.send('sentinel', 'SET', NAME, name, String(value));
    }
    await waitUntil('the sentinels know each other and the replica', async () => {
      const told = await Promise.all(sentinels.map((sentinel) => sentinel.send('info', 'sentinel')));
      return told.every((info) =>
        String(info).includes(`status=ok,address=${LOOPBACK}:${primary.port},slaves=1,sentinels=${SENTINELS}`),
      );
    });
    const hosts = sentinels.map(({ port }) => `${LOOPBACK}:${port}`).join(',');
    /** The address of all sentinels: `redis+sentinel://…`. */
    const url = `redis+sentinel://:${password}@${hosts}/${NAME}?sentinelPassword=${password}`;
    return { ...{ url, primary, replica }, stop: servers.stop };
  } catch (error) {
    await servers.stop();
    throw error;
  }
}
