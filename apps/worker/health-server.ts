/** What orchestrators and Prometheus ask of a worker: `/livez` and `/metrics`. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from '@tandem/telemetry/metrics';

export interface HealthServerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly metrics: Pick<Metrics, 'exposition' | 'contentType'>;
  /** Why the worker must be restarted, or null. */
  whyDead(): string | null;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function startHealthServer({ host, port, metrics, whyDead }: HealthServerOptions): Promise<HealthServer> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://worker');
    if (request.method !== 'GET') return response.writeHead(405, { allow: 'GET' }).end();
    if (pathname === '/livez') {
      const why = whyDead();
      return response.writeHead(why === null ? 200 : 503, { 'content-type': 'text/plain' }).end(`${why ?? 'ok'}\n`);
    }
    if (pathname !== '/metrics') return response.writeHead(404).end();
    try {
      const text = await metrics.exposition();
      return response.writeHead(200, { 'content-type': metrics.contentType }).end(text);
    } catch {
      return response.writeHead(503).end();
    }
  });
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host, resolve);
  await listening;
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
    },
  };
}
