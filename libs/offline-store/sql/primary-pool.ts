/**
 * A pool of connections to the primary among several servers, `postgres://user:password@a:5432,b:5432/database`, like
 * libpq with `target_session_attrs=read-write`; the driver accepts one server only. A new connection goes to the server
 * that the last one reached, and to the next server if that fails or is a standby. Postgres reports a standby at the
 * start of a session (`in_hot_standby`), so this costs no round trip unless a pooler hides the report. For one address
 * it is the driver's pool.
 */
import { TandemError } from '@tandem/freshness/errors';
import pg from 'pg';

/** The part before the servers, the servers, and the rest. */
const ADDRESS = /^(\w+:\/\/(?:[^/?#]*@)?)([^/?#]*)(.*)$/s;
const WRITABLE = ['read-write', 'primary'];
const STANDBY = new Error('it is a standby');

/**
 * Returns one address for each server. Throws `config_invalid` if one is not an address, or if the URL requests a
 * server other than the primary.
 */
export function serverAddresses(url: string, variable: string): readonly string[] {
  const [, login = '', servers = '', rest = ''] = ADDRESS.exec(url) ?? [];
  const wanted = new URLSearchParams(rest.split('?')[1]).get('target_session_attrs') ?? 'primary';
  if (!WRITABLE.includes(wanted)) {
    const remedy = `write target_session_attrs=read-write, or leave it out`;
    throw invalid(
      variable,
      `asks for target_session_attrs=${wanted}; only the primary certifies and accepts events`,
      remedy,
    );
  }
  if (!servers.includes(',')) return [url];
  return servers.split(',').map((server) => {
    const address = `${login}${server}${rest}`;
    if (server !== '' && URL.canParse(address)) return address;
    throw invalid(
      variable,
      `has ${JSON.stringify(server)} in place of a server`,
      'write host or host:port for each server, separated by commas',
    );
  });
}

/**
 * Creates the pool.
 * @param addresses one for each server, as `serverAddresses` returns them
 * @param isBroken returns whether an error comes from the server rather than from the statement
 */
export function createPrimaryPool(
  addresses: readonly string[],
  config: pg.PoolConfig,
  isBroken: (error: unknown) => boolean,
): pg.Pool {
  if (addresses.length === 1) return new pg.Pool({ ...config, connectionString: addresses[0] });
  const servers = new Servers(addresses);
  class ServerClient extends pg.Client {
    readonly address = servers.current;
    /** Whether the server reports that it is a standby; undefined if a pooler does not forward the report. */
    inHotStandby: boolean | undefined;

    constructor(options?: pg.ClientConfig) {
      super({ ...options, connectionString: servers.current });
      this.connection.on('parameterStatus', ({ parameterName, parameterValue }: ParameterStatus) => {
        if (parameterName === 'in_hot_standby') this.inHotStandby = parameterValue === 'on';
      });
    }

    // The pool calls `connect` once, with a callback.
    override connect(done?: unknown): never {
      return super.connect((error: Error | null) => {
        if (isBroken(error)) servers.leave(this.address, error);
        (done as (error: Error | null) => void)(error);
      }) as never;
    }
  }
  const { onConnect, ...others } = config;
  return new PrimaryPool(servers, {
    ...others,
    Client: ServerClient,
    // A server that accepted the connection may stay silent.
    async onConnect(client) {
      const { address, inHotStandby } = client as unknown as ServerClient;
      try {
        if (inHotStandby ?? (await askRecovery(client, config))) throw STANDBY;
        await onConnect?.(client);
      } catch (error) {
        if (error === STANDBY || isBroken(error)) servers.leave(address, error);
        throw error;
      }
    },
  });
}

async function askRecovery(client: pg.ClientBase, { connectionTimeoutMillis }: pg.PoolConfig): Promise<boolean> {
  const { rows } = await client.query<{ inRecovery: boolean }>({
    text: 'select pg_is_in_recovery() as "inRecovery"',
    query_timeout: connectionTimeoutMillis,
  } as pg.QueryConfig);
  return rows[0]?.inRecovery ?? false;
}

interface ParameterStatus {
  readonly parameterName: string;
  readonly parameterValue: string;
}

/** The servers, and the presumed primary. */
class Servers {
  readonly #addresses: readonly string[];
  #at = 0;
  /** Why each server was last given up. */
  readonly #reasons = new Map<string, unknown>();
  left = 0;

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  get count(): number {
    return this.#addresses.length;
  }

  get current(): string {
    return this.#addresses[this.#at] ?? '';
  }

  /** Makes the next server current, if this server is still current. */
  leave(address: string, reason: unknown): void {
    this.left++;
    this.#reasons.set(address, reason);
    if (address === this.current) this.#at = (this.#at + 1) % this.count;
  }

  /** Returns the error for a caller after each server was tried. */
  explain(last: unknown): TandemError {
    const told = this.#addresses.map((address) => {
      const reason = this.#reasons.get(address);
      // For a name with several addresses the error has only a code.
      const { message, code } = (reason ?? { message: 'not tried' }) as NodeJS.ErrnoException;
      return `${new URL(address).host}: ${message || code}`;
    });
    return new TandemError('unavailable', 'The database does not answer at the moment.', {
      cause: [...this.#reasons.values()].find((reason) => reason !== STANDBY) ?? last,
      detail: `no primary among the servers: ${told.join('; ')}`,
      retryAfter: 1,
    });
  }
}

type Connected = (error: unknown, client: pg.PoolClient | undefined, release: () => void) => void;

class PrimaryPool extends pg.Pool {
  readonly #servers: Servers;

  constructor(servers: Servers, config: pg.PoolConfig) {
    super(config);
    this.#servers = servers;
  }

  // The driver's pool.query passes a callback; other callers use the promise.
  override connect(done?: unknown): never {
    const connected = this.#tryEach();
    if (done === undefined) return connected as never;
    const told = done as Connected;
    return connected.then(
      (client) => told(undefined, client, client.release),
      (error) => told(error, undefined, () => {}),
    ) as never;
  }

  async #tryEach(): Promise<pg.PoolClient> {
    for (let attempt = 1; ; attempt++) {
      const { left } = this.#servers;
      try {
        return await super.connect();
      } catch (error) {
        // The error says nothing about the server if all connections of the pool are busy.
        if (this.#servers.left === left) throw error;
        if (attempt === this.#servers.count) throw this.#servers.explain(error);
      }
    }
  }
}

function invalid(variable: string, problem: string, remedy: string): TandemError {
  return new TandemError('config_invalid', `${variable} ${problem}`, { field: variable, remedy });
}
