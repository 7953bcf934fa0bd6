import { ARM_OVERRIDES_EXAMPLE, ArmOverrideSchema, ArmOverridesSchema } from '@tandem/rollouts/wire/rollouts';
import { createLog } from '@tandem/telemetry/log';
import { createMetrics } from '@tandem/telemetry/metrics';
import { LimitQuery } from '@tandem/wire/page';
import { Hono } from 'hono';
import { expect, it } from 'vitest';
import { openAccess } from './access.ts';
import { defineEndpoint, withHeaders } from './define-endpoint.ts';
import { serveEndpoint } from './endpoint.ts';
import { createRefusalLog } from './refusal-log.ts';

type Declared = Parameters<typeof defineEndpoint<typeof ArmOverridesSchema, typeof ArmOverrideSchema>>[0];

const ANSWER = { description: 'All', schema: ArmOverridesSchema, example: ARM_OVERRIDES_EXAMPLE };
const BODY = { schema: ArmOverrideSchema, example: { variant: 'candidate' } };

function endpointWith(parts: Partial<Declared>) {
  return defineEndpoint({
    operationId: 'listArmOverrides',
    method: 'post',
    path: '/v1/overrides',
    tag: 'rollouts',
    summary: 'Users in an arm',
    scope: 'models:read',
    answer: ANSWER,
    problems: ['config_invalid'],
    handle: () => ARM_OVERRIDES_EXAMPLE,
    ...parts,
  });
}

const SERVING = {
  log: createLog({ level: 'info', name: 'api', destination: { write: () => undefined } }),
  metrics: createMetrics({ app: 'api', processMetrics: false }),
  logShare: 0,
  random: () => 0.5,
  refusalLog: createRefusalLog({ logShare: 0, random: () => 0.5 }),
  isOurHost: () => true,
  access: openAccess,
};

/** Returns the response of an endpoint. */
async function ask(parts: Partial<Declared>): Promise<Response> {
  return new Hono().post('/', serveEndpoint(endpointWith(parts), SERVING)).request('/', { method: 'POST' });
}

/** Returns the problem codes of each status, in the order of the document. */
function codesOf({ route }: ReturnType<typeof endpointWith>): Record<string, string[]> {
  const described = JSON.parse(JSON.stringify(route.responses)) as Record<string, { description: string }>;
  return Object.fromEntries(
    Object.entries(described).map(([status, { description }]) => [
      status,
      [...description.matchAll(/`(\w+)`: /g)].map(([, code = '']) => code),
    ]),
  );
}

it('an endpoint with a body describes the problems of bodies before its own problems', () => {
  expect(codesOf(endpointWith({ body: BODY }))).toMatchObject({
    413: ['body_too_large'],
    415: ['unsupported_media_type'],
    422: ['invalid_input', 'config_invalid'],
  });
  const without = codesOf(endpointWith({}));
  expect(without[422]).toEqual(['config_invalid']);
  expect(without).not.toHaveProperty('413');
});

it('an endpoint allows the query parameters of its schema', () => {
  expect(endpointWith({ query: LimitQuery }).query).toEqual(['limit']);
  expect(endpointWith({})).not.toHaveProperty('query');
});

it('an answer has the declared status and the headers that the handler adds', async () => {
  const created = { ...ANSWER, status: 201 } as const;
  const plain = await ask({ answer: created });
  expect([plain.status, plain.headers.get('location')]).toEqual([201, null]);
  expect(await plain.json()).toEqual(ARM_OVERRIDES_EXAMPLE);
  const handle = () => withHeaders(ARM_OVERRIDES_EXAMPLE, { location: '/v1/overrides/1' });
  const headed = await ask({ answer: created, handle });
  expect([headed.status, headed.headers.get('location')]).toEqual([201, '/v1/overrides/1']);
  expect(await headed.json()).toEqual(ARM_OVERRIDES_EXAMPLE);
  expect((await ask({})).status).toBe(200);
});

it('a whole response is returned unchanged', async () => {
  const answer = await ask({ handle: () => new Response('{"whole":true}', { status: 418 }) });
  expect([answer.status, await answer.text()]).toEqual([418, '{"whole":true}']);
});

it('an answer or an example that does not match its schema does not compile', () => {
  // @ts-expect-error: `variant` is missing.
  expect(endpointWith({ handle: () => ({ overrides: [{ userId: '42' }] }) })).toBeDefined();
  // @ts-expect-error: a user id is a string.
  expect(endpointWith({ answer: { ...ANSWER, example: { overrides: [{ userId: 42, variant: 'b' }] } } })).toBeDefined();
  // @ts-expect-error: the body has no field of this name.
  expect(endpointWith({ body: { ...BODY, example: { arm: 'candidate' } } })).toBeDefined();
});
