/** The HTTP application: every endpoint at its path, and an answer for unknown paths. Starts nothing. */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { RefusalForm } from '@tandem/endpoints/describe-problems';
import { type Endpoint, honoPath, type ServeOptions, serveEndpoint } from '@tandem/endpoints/endpoint';
import { type HttpProblem, problemResponse, toProblem } from '@tandem/endpoints/problem';
import type { RoutesPart } from '@tandem/extension/extension';
import { TandemError } from '@tandem/freshness/errors';
import { checkHost } from '@tandem/http-server/foreign-request';
import { Hono } from 'hono';
import { createEndpoints } from './endpoints.ts';
import { describeApi } from './openapi/openapi.ts';
import { type DocumentedApi, docsPage } from './routes/docs/page.ts';
import type { RouteDependencies } from './wiring/route-dependencies.ts';

export interface AppDependencies extends RouteDependencies, ServeOptions {}

export type App = ReturnType<typeof createApp>;

/** Builds the OpenAPI document at its first read, or earlier by `describe`. */
export function createApp(dependencies: AppDependencies) {
  const document = once(() => JSON.stringify(describeApi(endpoints, tagsOf(dependencies.extensions))));
  const page = once(() => docsPage(JSON.parse(document()) as DocumentedApi));
  const endpoints = createEndpoints(dependencies, { document, page });
  return Object.assign(mount(endpoints, dependencies), {
    /** Builds the OpenAPI document. This takes about 50 ms and blocks other requests. */
    describe: () => void page(),
  });
}

/** Returns the tags of extensions. */
export function tagsOf(extensions: readonly RoutesPart[]) {
  return extensions.flatMap(({ tags }) => tags ?? []);
}

function once(make: () => string): () => string {
  let made: string | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Serves only these endpoints. */
export function mount(endpoints: readonly Endpoint[], options: ServeOptions) {
  const app = new OpenAPIHono();
  for (const endpoint of endpoints) {
    app.on(endpoint.route.method.toUpperCase(), honoPath(endpoint), serveEndpoint(endpoint, options));
  }
  const refuse = refusalsBeside(endpoints);
  const others = otherMethods(endpoints, refuse);
  app.notFound(({ req }) => {
    try {
      checkHost(req, options.isOurHost);
    } catch (error) {
      return refuse(req.path, toProblem(error, req.path));
    }
    return others.fetch(req.raw);
  });
  app.onError((error, context) => {
    options.log.error('request.failed', { path: context.req.path, error });
    return refuse(context.req.path, toProblem(error));
  });
  return app;
}

type Refuse = (path: string, problem: HttpProblem) => Response;

/** Returns a function that renders the rejection of a path without an endpoint, in the form of the endpoints there. */
function refusalsBeside(endpoints: readonly Endpoint[]): Refuse {
  const forms = formsOf(endpoints);
  return (path, problem) => {
    const form = forms.find(({ below }) => path === below || path.startsWith(`${below}/`));
    return form ? form.respond(problem) : problemResponse(problem);
  };
}

/** Returns the forms of rejections other than problem documents. */
function formsOf(endpoints: readonly Endpoint[]): readonly RefusalForm[] {
  return [...new Set(endpoints.flatMap(({ refusals }) => refusals ?? []))];
}

/** Answers unknown paths, and known paths with other methods. A separate router keeps the main router small. */
function otherMethods(endpoints: readonly Endpoint[], refuse: Refuse): Hono {
  const allowed = new Map<string, string[]>();
  for (const endpoint of endpoints) {
    const method = endpoint.route.method.toUpperCase();
    const methods = allowed.get(honoPath(endpoint)) ?? ['OPTIONS'];
    methods.push(method, ...(method === 'GET' ? ['HEAD'] : []));
    allowed.set(honoPath(endpoint), methods);
  }
  const app = new Hono();
  for (const [path, methods] of allowed) {
    const allow = methods.sort().join(', ');
    app.all(path, ({ req }) => {
      if (req.method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow } });
      const error = new TandemError('method_not_allowed', `${req.method} is not allowed here.`, {
        remedy: `use ${allow}`,
        headers: { allow },
      });
      return refuse(req.path, toProblem(error, new URL(req.url).pathname));
    });
  }
  const prefixes = ['/v1/', ...formsOf(endpoints).map(({ below }) => `${below}/`)];
  app.notFound(({ req }) => refuse(req.path, toProblem(noSuchPath(req.path, prefixes), new URL(req.url).pathname)));
  return app;
}

function noSuchPath(path: string, prefixes: readonly string[]): TandemError {
  if (path === '/metrics') {
    return new TandemError('no_such_path', 'This port does not serve metrics.', {
      remedy:
        'set METRICS_PORT, and read /metrics on it; the port of the API serves metrics only on loopback, without API keys and without METRICS_PORT',
    });
  }
  return new TandemError('no_such_path', 'This path does not exist.', {
    remedy: `check the spelling of the path, including ${prefixes.join(' or ')}; GET /docs lists all paths, and GET /openapi.json has them for programs`,
  });
}
