/** The configuration of the local Redis: durable within a second, closed to everyone without the password, never evicting. */

export interface RedisSettings {
  readonly port: number;
  readonly password: string;
  /** Where the append-only file is kept. */
  readonly folder: string;
  /** The address it listens on. */
  readonly bind: string;
}

/** The text of a `redis.conf`. It holds the password: keep it at mode 0600. */
export function renderRedisSettings({ port, password, folder, bind }: RedisSettings): string {
  const settings = [
    ['bind', bind],
    ['port', String(port)],
    ['protected-mode', 'yes'],
    ['requirepass', password],
    ['dir', quote(folder)],
    ['daemonize', 'no'],
    // The append-only file alone: a snapshot beside it would fork the whole server every few minutes for nothing.
    ['appendonly', 'yes'],
    ['appendfsync', 'everysec'],
    ['save', '""'],
    // Queues lose jobs under any other policy.
    ['maxmemory-policy', 'noeviction'],
    // Leaves the command line as we gave it, which tells a leftover server from another program.
    ['set-proc-title', 'no'],
    ['always-show-logo', 'no'],
  ];
  return settings.map(([name, value]) => `${name} ${value}\n`).join('');
}

function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
