/** Opens a connection to one server, or to the primary that sentinels name. */
import { Redis, type SentinelConnectionOptions, SentinelConnector } from 'ioredis';
import type { ServerOptions } from './redis-address.ts';

/**
 * The driver watches sentinels for a failover, over connections whose errors it prints where nothing listens. What they
 * say is of no use: the driver tries again, and the connection to the primary has errors of its own.
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
