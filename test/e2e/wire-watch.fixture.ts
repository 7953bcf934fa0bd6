/**
 * Checks every answer that a test gets. The OpenAPI document must declare the status for the path, and a 503 or 429
 * must have Retry-After.
 */
export interface WireWatch {
  /** Reads the OpenAPI document of an API. Later calls do nothing. */
  learn(url: string): Promise<void>;
  readonly fetch: typeof globalThis.fetch;
  /** The answers that contradict the document. */
  readonly violations: readonly string[];
  /** Maps each status to its number of answers. */
  readonly statuses: ReadonlyMap<number, number>;
}

interface Route {
  readonly method: string;
  readonly path: RegExp;
  readonly statuses: ReadonlySet<number>;
}

export function createWireWatch(): WireWatch {
  let routes: readonly Route[] = [];
  const violations: string[] = [];
  const statuses = new Map<number, number>();

  function check(method: string, url: string, { status, headers }: Response): void {
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    const { pathname } = new URL(url);
    const route = routes.find((one) => one.method === method && one.path.test(pathname));
    if (!route?.statuses.has(status)) violations.push(`${method} ${pathname}: ${status} is not declared`);
    if ((status === 503 || status === 429) && !headers.has('retry-after')) {
      violations.push(`${method} ${pathname}: ${status} without Retry-After`);
    }
  }

  return {
    violations,
    statuses,
    async learn(url) {
      if (routes.length > 0) return;
      const answer = await fetch(`${url}/openapi.json`);
      routes = routesOf((await answer.json()) as Document);
    },
    async fetch(input, init) {
      const response = await fetch(input, init);
      check(init?.method ?? 'GET', String(input), response);
      return response;
    },
  };
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses?: object }>>>>;
}

function routesOf({ paths }: Document): Route[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { responses = {} }]) => ({
      method: method.toUpperCase(),
      path: new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`),
      statuses: new Set(Object.keys(responses).map(Number)),
    })),
  );
}
