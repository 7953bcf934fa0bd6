/** Starts a server on a free port of loopback that answers in plain text, for tests. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERROR_KINDS } from '@tandem/freshness/error-codes';
import type { TandemError } from '@tandem/freshness/errors';
import { Connections } from './connections.ts';
import { type HttpServer, startHttpServer } from './server.ts';

export interface TestServerOptions {
  answer(incoming: IncomingMessage, outgoing: ServerResponse): void | Promise<void>;
  onFault?(error: unknown, url: string): void;
  readonly connections?: Pick<Connections, 'keep'>;
}

export function startTestServer({ answer, onFault, connections }: TestServerOptions): Promise<HttpServer> {
  return startHttpServer({
    answer,
    refuse: ({ code, message, headers }: TandemError) => ({
      status: ERROR_KINDS[code].status,
      headers: { 'content-type': 'text/plain', ...headers },
      body: `${code}: ${message}`,
    }),
    allow: 'GET',
    onFault:
      onFault ??
      ((error) => {
        throw error;
      }),
    host: '127.0.0.1',
    port: 0,
    connections: connections ?? new Connections({ most: 1_000 }),
  });
}
