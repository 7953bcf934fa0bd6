/** Opens a connection to one server, or to the primary that sentinels name. */
import { Redis, type SentinelConnectionOptions, SentinelConnector } from 'ioredis';
import type { ServerOptions } from './redis-address.ts';

/**
 * Ignores errors of the connections on which the driver watches sentinels for a failover. Without a listener, the
 * driver prints these errors. They are not needed: the driver retries, and the connection to the primary reports its
 * own errors.
 */
class QuietSentinels extends SentinelConnector {
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
    // The driver's types hide the method.
    const hidden = this as unknown as { connectToSentinel(...args: unknown[]): Redis };
    const connect = hidden.connectToSentinel.bind(this);
    hidden.connectToSentinel = (...args) => connect(...args).on('error', () => {});
  }
}

export function openRedis(options: ServerOptions): Redis {
  return options.sentinels === undefined ? new Redis(options) : new Redis({ ...options, Connector: QuietSentinels });
}
