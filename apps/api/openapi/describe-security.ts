/** Adds keys to the OpenAPI document: the scheme, each path's scope, and the answers that only keys cause. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { keyProblems } from '../http/describe-problems.ts';
import type { Endpoint } from '../http/endpoint.ts';

/** Adds the endpoints to the document, each with its scope. */
export function describeSecurity(registry: OpenAPIHono['openAPIRegistry'], endpoints: readonly Endpoint[]): void {
  const { name } = registry.registerComponent('securitySchemes', 'apiKey', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'tandem_(live|test)_<id>_<secret>_<checksum>',
    description:
      'An API key, created by `npx tandem key create`. A service that only listens on loopback does not require one.',
  });
  for (const { route, scope, refusals } of endpoints) {
    if (scope === 'public') registry.registerPath({ ...route, security: [] });
    else {
      const scopes = [scope].flat();
      const names = scopes.map((one) => `\`${one}\``).join(' or ');
      registry.registerPath({
        ...route,
        description: [route.description, `Scope: ${names}.`].filter(Boolean).join(' '),
        security: scopes.map((one) => ({ [name]: [one] })),
        responses: { ...route.responses, ...keyProblems(refusals) },
      });
    }
  }
}
