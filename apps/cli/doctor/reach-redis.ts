/** Connects to a Redis for a check. If that fails, finds the problem of the address. */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { CommandFailure } from '@tandem/commands/failure';
import { explainStoreRefusal } from '@tandem/commands/store-refusals';
import { type OnlineConnection, type OnlineConnectionOptions, ServerConnection } from '@tandem/online-store/connection';
import { createOnlineConnection } from '@tandem/online-store/online-connection';
import { command } from '@tandem/online-store/pipelined-commands';
import { type HostAndPort, parseRedisAddress, type ServerOptions } from '@tandem/redis/redis-address';

const CONNECT_WITHIN_MS = 3_000;
const HEAR_WITHIN_MS = 1_000;

/** Works with a connection to the Redis at the address. Rejects with the reason if it does not answer in time. */
export async function withRedis<T>(
  url: string,
  work: (connection: OnlineConnection) => Promise<T>,
  withinMs: number = CONNECT_WITHIN_MS,
): Promise<T> {
  try {
    return await reach((options) => createOnlineConnection({ url, ...options }), work, withinMs);
  } catch (error) {
    if (explainStoreRefusal(error)) throw error;
    throw (await explainAddress(url)) ?? error;
  }
}

type Open<C> = (options: Omit<OnlineConnectionOptions, 'url'>) => C;

/** Works with a connection. Reports a rejected login at once, because a retry would not change it. */
async function reach<T, C extends OnlineConnection>(
  open: Open<C>,
  work: (connection: C) => Promise<T>,
  withinMs: number,
): Promise<T> {
  let lastError = '';
  const { promise: refused, reject: refuse } = Promise.withResolvers<never>();
  refused.catch(() => {});
  const connection = open({
    commandTimeoutMs: CONNECT_WITHIN_MS,
    connectTimeoutMs: withinMs,
    log: (event, fields) => {
      if (event !== 'online_store.lost') return;
      lastError = String(fields.error);
      const error = new Error(lastError);
      if (explainStoreRefusal(error)) refuse(error);
    },
  });
  try {
    await Promise.race([connection.whenReady(withinMs), refused]);
    return await work(connection);
  } catch (error) {
    // The last error of the connection ("wrong password", "refused") says more than the timeout.
    throw lastError === '' ? error : new Error(lastError);
  } finally {
    connection.close();
  }
}

type Named = ReturnType<typeof namedBy>;

/** Returns the servers of an address, how to query them, and the name of the primary in the Sentinels. */
function namedBy(url: string) {
  const address = parseRedisAddress(url);
  if (address.kind === 'cluster') {
    return { kind: 'cluster', hosts: address.seeds, login: address.login, name: '' } as const;
  }
  const { sentinels, sentinelPassword, name = '', host = '', port = 0, username, password, tls } = address.options;
  const secured = tls === undefined ? {} : { tls };
  if (sentinels === undefined) {
    const login = { ...secured, ...(username ? { username } : {}), ...(password ? { password } : {}) };
    return { kind: 'server', hosts: [{ host, port }], login, name } as const;
  }
  const login = { ...secured, ...(sentinelPassword ? { password: sentinelPassword } : {}) };
  return { kind: 'sentinel', hosts: sentinels as readonly HostAndPort[], login, name } as const;
}

/**
 * Returns the problem of an address, found at the first of its servers that answers; undefined if the address is not
 * the problem.
 */
async function explainAddress(url: string): Promise<CommandFailure | undefined> {
  const named = namedBy(url);
  const silent: string[] = [];
  for (const server of named.hosts) {
    const at = `${server.host}:${server.port}`;
    const speech = await hear(server);
    // The error of a name with several addresses has only a code.
    if (speech instanceof Error) silent.push(`${at} (${speech.message || (speech as NodeJS.ErrnoException).code})`);
    else return explainServer(at, server, named, speech === 'tls');
  }
  const remedy = 'check that the server runs and is reachable, and that host and port in the address are right';
  return new CommandFailure(`nothing answers at ${silent.join(', ')}`, { remedy });
}

async function explainServer(at: string, server: HostAndPort, named: Named, speaksTls: boolean) {
  const { kind, login } = named;
  const wrong: Wrong = (problem, remedy) => new CommandFailure(`${at} ${problem}`, { remedy });
  if (speaksTls && !login.tls) return wrong('accepts only TLS', 'write rediss instead of redis in the address');
  if (!speaksTls && login.tls) {
    return wrong('does not speak TLS', "write redis instead of rediss in the address, or name the server's TLS port");
  }
  const asked = await askServer(server, login).catch((error: Error) => error);
  if (asked instanceof Error) return kind === 'sentinel' ? explainRefusal(at, asked) : undefined;
  return explainKind(at, named, asked, wrong);
}

type Wrong = (problem: string, remedy: string) => CommandFailure;

function explainKind(at: string, { kind, name }: Named, { mode, primaries }: Asked, wrong: Wrong) {
  if (mode === null) return undefined;
  const known = primaries === null ? '(not visible to this user)' : primaries.join(', ') || 'none';
  const example = `redis+sentinel://:password@${at}/${primaries?.[0] ?? 'name'}?sentinelPassword=…`;
  if (mode === 'sentinel' && kind !== 'sentinel') {
    return wrong(`is a Sentinel, which keeps no data; it knows these primaries: ${known}`, `write ${example}`);
  }
  if (mode !== 'sentinel' && kind === 'sentinel') {
    const remedy = `use the ports of the Sentinels (default: 26379), or write redis://…@${at}, which does not follow failovers`;
    return wrong('is a Redis server, not a Sentinel', remedy);
  }
  if (kind === 'sentinel' && primaries !== null && !primaries.includes(name)) {
    const problem = `is a Sentinel that knows no primary ${JSON.stringify(name)}; it knows these primaries: ${known}`;
    return wrong(problem, 'correct the name behind the hosts: redis+sentinel://…/name');
  }
  if (kind === 'cluster' && mode !== 'cluster') {
    const remedy = 'write redis:// instead of redis+cluster://, or set cluster-enabled yes';
    return wrong('is a single server, not a node of a Redis Cluster', remedy);
  }
  return undefined;
}

/** Explains a rejected login of a Sentinel. The error of the store would contain the login before the hosts. */
function explainRefusal(at: string, error: Error): CommandFailure | undefined {
  const [refusal] = /^(NOAUTH|WRONGPASS|ERR AUTH)/.exec(error.message) ?? [];
  if (refusal === undefined) return undefined;
  return new CommandFailure(`the Sentinel ${at} rejects the login (${refusal})`, {
    remedy:
      'write the password of the Sentinels as ?sentinelPassword=… at the end of the address, or remove it if they have none',
  });
}

type Asked = Awaited<ReturnType<typeof askServer>>;

/**
 * Returns the role of a server and, for a Sentinel, the names of the primaries that it watches; null if this user may
 * not query them.
 */
function askServer({ host, port }: HostAndPort, login: ServerOptions) {
  return reach(
    (options) => new ServerConnection({ ...login, host, port }, { ...options, isOfCluster: true }),
    async (connection) => {
      const [info, masters] = await connection.send([command('info', ['server']), command('sentinel', ['masters'])]);
      const mode = /^(?:redis|server)_mode:(\w+)/m.exec(String(info))?.[1] ?? null;
      const primaries = Array.isArray(masters) ? masters.map((fields) => String(fields[1])) : null;
      return { mode, primaries };
    },
    CONNECT_WITHIN_MS,
  );
}

/** Returns the protocol in which a server answers a PING without a login, or an error if it does not answer. */
async function hear({ host, port }: HostAndPort): Promise<'plain' | 'tls' | Error> {
  const plain = connectPlain({ host, port }, () => plain.write('PING\r\n'));
  const said = await heard(plain, (bytes) => /^[+-]/.test(bytes.toString('latin1')));
  if (said === null) return 'plain';
  const secured = connectTls({ host, port, rejectUnauthorized: false }, () => secured.emit('data', Buffer.of()));
  return (await heard(secured, () => true)) === null ? 'tls' : said;
}

/** Resolves with null for an expected answer, otherwise with the reason. */
function heard(socket: Socket, fits: (bytes: Buffer) => boolean): Promise<Error | null> {
  return new Promise<Error | null>((resolve) => {
    socket.setTimeout(HEAR_WITHIN_MS, () => resolve(new Error(`no answer within ${HEAR_WITHIN_MS} ms`)));
    socket.on('data', (bytes) => resolve(fits(bytes) ? null : new Error('it does not use the Redis protocol')));
    socket.on('error', (error) => resolve(error));
    socket.on('close', () => resolve(new Error('it closed the connection')));
  }).finally(() => socket.destroy());
}
