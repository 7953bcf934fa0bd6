import type { ServerResponse } from 'node:http';

/** An answer in neither of the forms that servers take: a Response, or Node's own. */
export interface Reply {
  readonly status: number;
  /** Names in lower case, without `content-length`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export function responseOf({ status, headers, body }: Reply): Response {
  return new Response(body, { status, headers });
}

/** Sends a reply on Node's own response. */
export function replyOn(outgoing: ServerResponse, { status, headers, body }: Reply): void {
  // Node sends no body in answer to HEAD.
  outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body ?? '') });
  outgoing.end(body);
}
