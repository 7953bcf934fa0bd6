import type { ServerResponse } from 'node:http';

/** An answer that is independent of Node's response and of Fetch's `Response`. */
export interface Reply {
  readonly status: number;
  /** Headers by lower-case name, without `content-length`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export function responseOf({ status, headers, body }: Reply): Response {
  return new Response(body, { status, headers });
}

/** Sends a reply on Node's own response. */
export function replyOn(outgoing: ServerResponse, { status, headers, body }: Reply): void {
  // Node does not send the body of an answer to HEAD.
  outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body ?? '') });
  outgoing.end(body);
}
