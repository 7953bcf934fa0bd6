/**
 * Answers plain reads of one user on Node's own request and response. Hono's Request, router and Response cost such a
 * read some 7 µs of 40; whatever is not plain (escapes, queries, bodies, other methods) is left to Hono, and what is
 * answered here is answered by the same code.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestHead } from '@tandem/http-server/foreign-request';
import type { Reply } from '@tandem/http-server/reply';
import { problemReply } from '../../http/problem.ts';
import { createServing, type ServeOptions } from '../../http/serve-endpoint.ts';
import { createReadOne, READ_ONE, type ReadDependencies, type ReadOneRequest } from './read-one.ts';

/** Answers a request or leaves it to others: then it gives false, and has touched nothing. */
export type DirectListener = (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;

/** Only what needs no decoding, and is no `.` or `..`. */
const PLAIN_PATH = /^\/v1\/predictions\/([\w-][\w.~-]*)\/([\w-][\w.~-]*)$/;
const PLAIN_HOST = /^[\w.-]+(?::\d+)?$/;

export function readOneDirectly(dependencies: ReadDependencies & ServeOptions): DirectListener {
  const read = createReadOne(dependencies);
  const serve = createServing<Reply>(READ_ONE, dependencies, problemReply);
  return function listen(incoming, outgoing) {
    const path = isPlain(incoming) ? PLAIN_PATH.exec(incoming.url ?? '') : null;
    if (!path) return false;
    const [url = '', predictor = '', userId = ''] = path;
    void answer({ predictor, userId, head: headOf(incoming, url) }, outgoing);
    return true;
  };

  async function answer(request: ReadOneRequest, outgoing: ServerResponse): Promise<void> {
    try {
      send(outgoing, await serve(request.head, (event, caller) => read(request, event, caller)));
    } catch (error) {
      dependencies.log.error('request.failed', { path: request.head.url, error });
      outgoing.destroy();
    }
  }
}

function isPlain({ method, headers }: IncomingMessage): boolean {
  if (method !== 'GET' || headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) {
    return false;
  }
  return headers.host !== undefined && PLAIN_HOST.test(headers.host);
}

function headOf({ headers }: IncomingMessage, url: string): RequestHead {
  return {
    url,
    header(name) {
      const value = headers[name];
      return typeof value === 'string' ? value : undefined;
    },
  };
}

function send(outgoing: ServerResponse, { status, headers, body }: Reply): void {
  // One flat list, which Node walks as it is.
  const fields: string[] = [];
  for (const name in headers) fields.push(name, headers[name] as string);
  if (body === null) {
    outgoing.writeHead(status, fields);
    outgoing.end();
    return;
  }
  const length = Buffer.byteLength(body);
  // Without a length of our own Node would send it in chunks.
  fields.push('content-length', String(length));
  outgoing.writeHead(status, fields);
  // As many bytes as characters are ASCII, which costs less to write if it is said.
  outgoing.end(body, length === body.length ? 'latin1' : 'utf8');
}
