/** Serves `/livez` and `/metrics` of a worker to orchestrators and Prometheus, on the API's own HTTP server. */
import type { IncomingMessage } from 'node:http';
import { ERROR_KINDS } from '@tandem/freshness/error-codes';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { Connections } from '@tandem/http-server/connections';
import { checkHost, createHostRule, type HostRule, isOnLoopback } from '@tandem/http-server/foreign-request';
import { type Reply, replyOn } from '@tandem/http-server/reply';
import { targetPath } from '@tandem/http-server/request-frame';
import { startHttpServer } from '@tandem/http-server/server';
import type { Metrics } from '@tandem/telemetry/metrics';

interface HealthServerOptions {
  readonly host: string;
  /** The port; 0: any free port. */
  readonly port: number;
  /** Host names that are accepted on loopback, in addition to the names of loopback and `host`. */
  readonly hostNames: readonly string[];
  readonly metrics: Pick<Metrics, 'exposition' | 'contentType'>;
  /** Returns why the worker must be restarted, or null. */
  whyDead(): string | null;
  /** Receives the errors that answers throw, for the log. */
  onFault(error: unknown, url: string): void;
}

export type HealthServer = Awaited<ReturnType<typeof startHealthServer>>;

/**
 * The most connections. Probes and scrapes need few, and other clients must not use up the worker's file descriptors.
 */
const MOST_CONNECTIONS = 8;
/** Milliseconds for requests in progress when the worker ends. */
const GRACE_MS = 1_000;
const METHODS = 'GET, HEAD';
/** The host of an HTTP/1.0 request without a Host header: such a request names no other machine. */
const WITHOUT_HOST = 'http://localhost';

export async function startHealthServer(options: HealthServerOptions) {
  const { host, port, hostNames, onFault } = options;
  // On other addresses, Prometheus and orchestrators use any address that they discovered.
  const isOurHost = (await isOnLoopback(host)) ? createHostRule([host, ...hostNames]) : () => true;
  const server = await startHttpServer({
    async answer(incoming, outgoing) {
      replyOn(outgoing, await reply(incoming, isOurHost, options));
    },
    refuse,
    allow: METHODS,
    onFault,
    host,
    port,
    connections: new Connections({ most: MOST_CONNECTIONS }),
  });
  return {
    port: server.port,
    close: async () => void (await server.close(GRACE_MS)),
  };
}

async function reply(incoming: IncomingMessage, isOurHost: HostRule, options: HealthServerOptions): Promise<Reply> {
  try {
    const { method = '', url = '', headers } = incoming;
    checkHost({ url: WITHOUT_HOST, header: () => headers.host }, isOurHost);
    // GET and HEAD change nothing, so the origin of the request does not matter.
    if (method !== 'GET' && method !== 'HEAD') throw refuseMethod(method);
    return await show(targetPath(url), options);
  } catch (error) {
    if (isTandemError(error)) return refuse(error);
    throw error;
  }
}

async function show(path: string, { metrics, whyDead }: HealthServerOptions): Promise<Reply> {
  if (path === '/metrics') return plain(200, await metrics.exposition(), metrics.contentType);
  if (path !== '/livez') {
    throw new TandemError('no_such_path', 'This path does not exist.', { remedy: 'request /livez or /metrics' });
  }
  const why = whyDead();
  return plain(why === null ? 200 : 503, `${why ?? 'ok'}\n`);
}

function refuseMethod(method: string): TandemError {
  return new TandemError('method_not_allowed', `${method} is not allowed here.`, {
    remedy: `use ${METHODS}`,
    headers: { allow: METHODS },
  });
}

function refuse({ code, message, remedy, headers }: TandemError): Reply {
  const refused = plain(ERROR_KINDS[code].status, `${message}${remedy === undefined ? '' : `\n→ ${remedy}`}\n`);
  return { ...refused, headers: { ...refused.headers, ...headers } };
}

function plain(status: number, body: string, type = 'text/plain; charset=utf-8'): Reply {
  const headers = { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
  return { status, headers, body };
}
