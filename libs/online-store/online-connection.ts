import { parseRedisAddress } from '@tandem/redis/redis-address';
import { createClusterConnection } from './cluster-connection.ts';
import { type OnlineConnection, type OnlineConnectionOptions, ServerConnection } from './connection.ts';

/** Connects to the server of the address, to the primary of its sentinels, or to its cluster. */
export function createOnlineConnection({ url, ...options }: OnlineConnectionOptions): OnlineConnection {
  const address = parseRedisAddress(url);
  return address.kind === 'cluster'
    ? createClusterConnection(address, options)
    : new ServerConnection(address.options, options);
}
