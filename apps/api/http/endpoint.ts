/** What a route file exports: one endpoint, as the OpenAPI document describes it and as it answers. */
import type { RouteConfig } from '@hono/zod-openapi';
import type { WideEvent } from '@tandem/telemetry/wide-event';
import type { Context } from 'hono';
import type { Caller, RouteScope } from '../keys/access.ts';

export interface Endpoint {
  /** Its OpenAPI description; `path` in OpenAPI's form, `operationId` names it in logs and metrics. */
  readonly route: RouteConfig & { readonly operationId: string };
  /** What a key must have to be answered here. */
  readonly scope: RouteScope;
  /** The media type of its answers: `Accept` must let it through. */
  readonly produces: string;
  /** The query parameters it knows; any other is refused. */
  readonly query?: readonly string[];
  /** Answers, or throws a TandemError or RequestError. Facts added to the event are logged with the request. */
  handle(context: Context, event: WideEvent, caller: Caller): Response | Promise<Response>;
}

/** The path in Hono's form. */
export function honoPath(endpoint: Endpoint): string {
  return endpoint.route.path.replace(/\{(\w+)\}/g, ':$1');
}
