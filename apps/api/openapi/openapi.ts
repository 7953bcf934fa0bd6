/** The OpenAPI 3.1 document: gathered from the endpoints, so that no path is described and not served, or the reverse. */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Endpoint } from '../http/endpoint.ts';
import { PROBLEM_KINDS, problemType } from '../http/problem.ts';
import { describeSecurity } from './describe-security.ts';
import { nameSchemas } from './name-schemas.ts';

export type ApiDocument = ReturnType<OpenAPIHono['getOpenAPI31Document']>;

export function describeApi(endpoints: readonly Endpoint[]): ApiDocument {
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
      { name: 'rollouts', description: 'Canaries, shadows and A/B tests, and their outcomes' },
      { name: 'audit', description: 'Changes of pointers and keys, with actor and time' },
      { name: 'inference', description: 'The Open Inference Protocol v2, for clients of KServe and Triton' },
      { name: 'health', description: 'For load balancers and monitoring' },
      { name: 'documentation' },
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

Requests come from programs, or from pages of this service's own origin: a POST whose \`Sec-Fetch-Site\` or \`Origin\` tells
of a page of elsewhere is answered with 403, and so is, while the service is published on loopback, any request whose
\`Host\` is neither loopback nor the configured \`HOST\` nor one of \`TANDEM_HOSTS\`. A proxy on the same machine has to send \`Host: localhost\`.

Where the service is published on another address than loopback, each request names an API key, \`Authorization: Bearer
tandem_live_…\`, never one in a URL: \`npx tandem key create\` makes it, with the scopes that each path names. \`/livez\`,
\`/readyz\`, \`/openapi.json\` and \`/docs\` need none. A key may have limits, of requests and of users inferred live, a
second and for each process of the service: above the first it is answered with 429; above the second with what is
stored, said to be \`overloaded\`, and with 429 only where nothing is.`;

function listProblems(): string {
  const rows = Object.entries(PROBLEM_KINDS).map(
    ([code, { status, title, when }]) =>
      `| \`${problemType(code as keyof typeof PROBLEM_KINDS)}\` | ${status} | ${title} | ${when} |`,
  );
  return ['| type | status | title | when |', '|---|---|---|---|', ...rows].join('\n');
}
