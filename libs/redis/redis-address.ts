/**
 * Parses the address of a Redis, which has one of these forms:
 *
 *     redis://[user:password@]host:6379[/database]                    one server
 *     redis+cluster://[user:password@]host:6379[,host:6379…]          Redis Cluster: some of its nodes; the others are discovered
 *     redis+sentinel://[user:password@]host:26379[,host:26379…]/name[/database][?sentinelPassword=…]
 *                                                                     the primary with this `name` in the sentinels
 *
 * `rediss` instead of `redis` uses TLS, also to the sentinels. Certificates are verified with Node's own authorities
 * and those of NODE_EXTRA_CA_CERTS. User and password of a cluster apply to every node.
 */
import type { RedisOptions } from 'ioredis';

export const REDIS_SCHEMES: readonly string[] = ['redis', 'redis+cluster', 'redis+sentinel'].flatMap((scheme) => [
  `${scheme}:`,
  `${scheme.replace('redis', 'rediss')}:`,
]);

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** Options for the constructor of `Redis`. */
export type ServerOptions = Omit<RedisOptions, 'replyMapping'>;

/** A login that every server of the address accepts. */
type Login = Pick<RedisOptions, 'username' | 'password' | 'tls'>;

export type RedisAddress =
  | { readonly kind: 'server'; readonly options: ServerOptions }
  | { readonly kind: 'cluster'; readonly seeds: readonly HostAndPort[]; readonly login: Login };

/** The problem of an address, and the fix. The text contains no password. */
class RedisAddressError extends TypeError {
  readonly problem: string;
  readonly remedy: string;

  constructor(problem: string, remedy: string) {
    super(`${problem}: ${remedy}`);
    this.problem = problem;
    this.remedy = remedy;
  }
}

/** Returns the problem of an address; null if it has none. */
export function redisAddressProblem(url: string): RedisAddressError | null {
  try {
    parseRedisAddress(url);
    return null;
  } catch (error) {
    if (error instanceof RedisAddressError) return error;
    throw error;
  }
}

const FORM = /^(rediss?)(\+cluster|\+sentinel)?:\/\/(?:([^?]*)@)?([^/?#@]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/s;
/** The query parameters of each form. */
const PARAMETERS: Readonly<Record<string, string>> = { '': 'db', '+sentinel': 'sentinelPassword' };
const DEFAULT_PORT = 6379;
const SENTINEL_PORT = 26_379;

/** Parses an address. Throws a RedisAddressError. */
export function parseRedisAddress(url: string): RedisAddress {
  const parts = FORM.exec(url);
  if (!parts) {
    const remedy = 'write it in one of these forms; percent-encode special characters in the password';
    throw new RedisAddressError('is not like redis://host:6379, redis+cluster://… or redis+sentinel://…', remedy);
  }
  const [, scheme, form, credentials, hosts = '', path = '', search = ''] = parts;
  if (/@.*,|,.*@/s.test(credentials ?? '')) {
    throw new RedisAddressError('has several logins', 'write one, before the first host');
  }
  const login: Login = { ...loginOf(credentials), ...(scheme === 'rediss' ? { tls: {} } : {}) };
  const query = new URLSearchParams(search);
  const unknown = [...query.keys()].find((name) => name !== PARAMETERS[form ?? '']);
  if (unknown !== undefined) {
    throw new RedisAddressError(`has the unknown parameter ${unknown}`, 'remove it');
  }
  if (form === '+cluster') {
    if (path !== '' && path !== '0') {
      throw new RedisAddressError('names a database, but a Redis Cluster has only database 0', 'remove the path');
    }
    return { kind: 'cluster', seeds: hostsOf(hosts, DEFAULT_PORT), login };
  }
  if (form === '+sentinel')
    return { kind: 'server', options: { ...login, ...sentinelOptions(hosts, path, query, login) } };
  const [server, ...more] = hostsOf(hosts, DEFAULT_PORT);
  if (!server || more.length > 0) {
    throw new RedisAddressError('names several hosts', 'write redis+cluster:// or redis+sentinel:// in front of them');
  }
  return { kind: 'server', options: { ...login, ...server, ...databaseOf(path || (query.get('db') ?? '')) } };
}

function loginOf(credentials: string | undefined): Login {
  if (credentials === undefined) return {};
  const colon = credentials.indexOf(':');
  const [username, password] =
    colon < 0 ? [credentials, ''] : [credentials.slice(0, colon), credentials.slice(colon + 1)];
  return {
    ...(username === '' ? {} : { username: decoded(username) }),
    ...(password === '' ? {} : { password: decoded(password) }),
  };
}

/**
 * Returns the decoded text; the text itself if it is not percent-encoded, since passwords are often pasted unchanged.
 */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function sentinelOptions(hosts: string, path: string, query: URLSearchParams, { tls }: Login): ServerOptions {
  const [name = '', database = ''] = path.split('/');
  if (name === '') {
    throw new RedisAddressError('names no primary', 'write its name in the sentinels as the path, such as /mymaster');
  }
  const sentinelPassword = query.get('sentinelPassword');
  return {
    sentinels: hostsOf(hosts, SENTINEL_PORT).map(({ host, port }) => ({ host, port })),
    name: decoded(name),
    // Disconnects from a demoted primary as soon as the sentinels announce the failover.
    failoverDetector: true,
    ...databaseOf(database),
    ...(sentinelPassword === null ? {} : { sentinelPassword }),
    ...(tls ? { sentinelTLS: tls, enableTLSForSentinelMode: true } : {}),
  };
}

function databaseOf(text: string): Pick<RedisOptions, 'db'> {
  if (text === '') return {};
  if (!/^\d{1,6}$/.test(text)) {
    throw new RedisAddressError('has a path that is not a database number', 'write /0 to /15, or leave it out');
  }
  return { db: Number(text) };
}

function hostsOf(text: string, defaultPort: number): HostAndPort[] {
  return text.split(',').map((one) => {
    const [, host, port] = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(one.trim()) ?? [];
    if (!host || Number(port ?? 1) > 65_535) {
      throw new RedisAddressError('has a host that is not host:port', 'write db.example:6379, or [::1]:6379');
    }
    return { host: host.replaceAll(/[[\]]/g, ''), port: port === undefined ? defaultPort : Number(port) };
  });
}
