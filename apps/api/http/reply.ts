/** An answer before it takes the form that its server wants: a Response, or Node's own. */
export interface Reply {
  readonly status: number;
  /** Names in lower case; `content-length` is left to whoever sends it. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export function responseOf({ status, headers, body }: Reply): Response {
  return new Response(body, { status, headers });
}
