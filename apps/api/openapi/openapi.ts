/** The OpenAPI 3.1 document. It is built from the endpoints, so that exactly the served paths are described. */
import { OpenAPIHono } from '@hono/zod-openapi';
import { keyProblems } from '@tandem/endpoints/describe-problems';
import type { Endpoint } from '@tandem/endpoints/endpoint';
import { PROBLEM_KINDS, problemType } from '@tandem/endpoints/problem';
import type { ApiTag } from '@tandem/extension/extension';
import { nameSchemas } from './name-schemas.ts';

export type ApiDocument = ReturnType<OpenAPIHono['getOpenAPI31Document']>;

/** @param tags the tags of extensions */
export function describeApi(endpoints: readonly Endpoint[], tags: readonly ApiTag[]): ApiDocument {
  const described = new OpenAPIHono();
  describeSecurity(described.openAPIRegistry, endpoints);
  const document = described.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Tandem',
      version: '1',
      description: `Per-user predictions, computed in batches and refreshed live where a user's context is fresher.

${INTRODUCTION}\n\n## Problems\n\n${listProblems()}`,
    },
    servers: [{ url: '/' }],
    tags: [
      { name: 'predictions', description: 'Reads for applications' },
      { name: 'events', description: "Events: changes of users' contexts" },
      { name: 'users', description: 'Stored records of a user, and explanations of answers' },
      { name: 'runs', description: 'Batch runs' },
      { name: 'predictors', description: 'Configured predictors, generations, their differences, and rollbacks' },
      { name: 'models', description: 'Model versions and pushes' },
      { name: 'audit', description: 'Changes of generations, rollouts, labels and keys, with actor and time' },
      { name: 'health', description: 'Health checks for load balancers and monitoring' },
      { name: 'documentation' },
      ...tags,
    ],
  });
  return nameSchemas(document);
}

const INTRODUCTION = `A prediction says where it comes from (\`source\`) and why (\`reason\`); none is silently stale.
After an event that concerns a predictor is acknowledged, no read of that predictor is answered as fresh with a prediction
computed from older context. \`lastConcerningVersion\` is the version of the last such event.

JSON bodies have at most 1 MiB, 32 levels and 5,000 keys an object; duplicate keys, the keys \`__proto__\`,
\`constructor\` and \`prototype\`, NUL characters, lone surrogates, numbers beyond a double and whole numbers beyond 2^53
are refused, as are unknown fields and unknown query parameters. Errors are problem documents (RFC 9457); programs react
to \`type\`.

Only programs and pages of this service's origin may send requests. A POST whose \`Sec-Fetch-Site\` or \`Origin\` names another
origin is answered with 403. While the service is published on loopback, \`Host\` must be loopback, the configured \`HOST\` or
one of \`TANDEM_HOSTS\`; other requests are answered with 403. A proxy on the same machine must send \`Host: localhost\`.

If the service is published on another address than loopback, each request needs an API key in \`Authorization: Bearer
tandem_live_…\`; a key in a URL is not read. \`npx tandem key create\` makes a key with the scopes that each path names.
\`/livez\`, \`/readyz\`, \`/openapi.json\` and \`/docs\` need no key. A key has a quota of new users a day: above it, events of users
that are not known yet are answered with 429. A key may have two limits a second, for each process of the
service. Requests above the request limit are answered with 429. Reads above the limit of live inferences are answered with
the stored prediction and the reason \`overloaded\`, or with 429 if none is stored.`;

function listProblems(): string {
  const rows = Object.entries(PROBLEM_KINDS).map(
    ([code, { status, title, when }]) =>
      `| \`${problemType(code as keyof typeof PROBLEM_KINDS)}\` | ${status} | ${title} | ${when} |`,
  );
  return ['| type | status | title | when |', '|---|---|---|---|', ...rows].join('\n');
}

/** Adds the endpoints to the document, each with its scope. */
function describeSecurity(registry: OpenAPIHono['openAPIRegistry'], endpoints: readonly Endpoint[]): void {
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
