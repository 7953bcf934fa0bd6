/**
 * Tests of rejections that are the same for every endpoint. keys/keys.integration.test.ts tests those without a key
 * (401) or scope (403).
 */
import type { z } from '@hono/zod-openapi';
import type { Endpoint } from '@tandem/endpoints/endpoint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from './api.fixture.ts';
import { createEndpoints } from './endpoints.ts';

let api: TestApi;
let endpoints: readonly Endpoint[];
beforeAll(async () => {
  api = await createTestApi();
  endpoints = createEndpoints(api.dependencies.app, { document: () => '', page: () => '' });
});
afterAll(() => api?.close());

const UNKNOWN_ID = '00000000-0000-0000-0000-000000000000';

interface PathPart {
  /** A well-formed value; the resource that it names need not exist. */
  readonly good: string;
  readonly bad: string;
  readonly status: number;
  readonly code: RegExp;
}
/** Values by the name of the path parameter. */
const PATH_PARTS: Readonly<Record<string, PathPart>> = {
  predictor: { good: 'repurchase', bad: 'nothing', status: 404, code: /^unknown_predictor$/ },
  model: { good: 'repurchase', bad: 'nothing', status: 404, code: /^unknown_predictor$/ },
  userId: { good: '1', bad: '042', status: 422, code: /^invalid_input$/ },
  id: { good: UNKNOWN_ID, bad: 'x', status: 404, code: /^unknown_(run|rollout|explanation)$/ },
  generation: { good: '1', bad: '1e3', status: 422, code: /^invalid_input$/ },
  version: { good: '1', bad: 'new', status: 422, code: /^invalid_input$/ },
  label: { good: 'next', bad: 'a b', status: 422, code: /^invalid_input$/ },
  sha256: { good: '0'.repeat(64), bad: 'model.onnx', status: 422, code: /^invalid_input$/ },
};

/** Names of a path parameter in rejections, if they differ from its own. */
const NAMED_AS: Readonly<Record<string, RegExp>> = { id: /^(id|runId)$/, model: /^predictor$/ };

function partOf(name: string): PathPart {
  return PATH_PARTS[name] ?? expect.unreachable(`no malformed value of the path parameter ${name} is listed`);
}

function pathNames({ route }: Endpoint): readonly string[] {
  return Object.keys((route.request?.params as z.ZodObject | undefined)?.shape ?? {});
}

/** Returns the path of an endpoint, with a malformed value for the parameter `malformed`. */
function pathOf(endpoint: Endpoint, malformed?: string): string {
  return pathNames(endpoint).reduce((path, name) => {
    const { good, bad } = partOf(name);
    return path.replace(`{${name}}`, encodeURIComponent(name === malformed ? bad : good));
  }, endpoint.route.path);
}

interface Body {
  readonly type: string;
  readonly text: string;
}

/** Well-formed bodies of endpoints that check the body before the path. */
const BODIES: Readonly<Record<string, unknown>> = {
  readPredictions: { userIds: ['1'] },
  rank: { userId: '1', candidates: [{ id: 'a', features: {} }] },
  startRollout: { kind: 'canary', version: '1', steps: [5, 100] },
  overrideArm: { variant: 'candidate' },
  moveModelLabel: { version: '1' },
  archiveModel: { archived: true },
};

/** Returns a body for the endpoint; undefined if the endpoint takes none. */
function bodyOf({ route }: Endpoint): Body | undefined {
  const [type] = Object.keys(route.request?.body?.content ?? {});
  return type === undefined ? undefined : { type, text: JSON.stringify(BODIES[route.operationId] ?? {}) };
}

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly field: string | undefined;
}

async function ask({ route }: Endpoint, path: string, body?: Body): Promise<Refusal> {
  const response = await api.app.request(path, {
    method: route.method.toUpperCase(),
    ...(body ? { body: body.text, headers: { 'content-type': body.type } } : {}),
  });
  const { type = '', field } = (await response.json()) as { type?: string; field?: string };
  return { status: response.status, code: type.replace('urn:tandem:problem:', ''), field };
}

describe('every endpoint', () => {
  it('rejects an unknown query parameter with 400', async () => {
    const found = await Promise.all(
      endpoints.map(async (one) => {
        return [one.route.operationId, await ask(one, `${pathOf(one)}?nope=1`, bodyOf(one))];
      }),
    );
    const refused: Refusal = { status: 400, code: 'malformed_request', field: 'nope' };
    expect(found).toEqual(endpoints.map(({ route }) => [route.operationId, refused]));
  });

  it('rejects a malformed path parameter with 404 or 422, and names it', async () => {
    let walked = 0;
    for (const endpoint of endpoints) {
      const names = pathNames(endpoint);
      // The rollout is looked up before the user is checked, and there is no rollout.
      for (const name of names.filter((one) => one !== 'userId' || !names.includes('id'))) {
        const { status, code } = partOf(name);
        const refusal = await ask(endpoint, pathOf(endpoint, name), bodyOf(endpoint));
        expect([endpoint.route.operationId, refusal]).toEqual([
          endpoint.route.operationId,
          {
            status,
            code: expect.stringMatching(code),
            field: expect.stringMatching(NAMED_AS[name] ?? name),
          },
        ]);
        walked++;
      }
    }
    expect(walked).toBeGreaterThan(40);
  });

  it('rejects a body of another media type with 415, truncated JSON with 400, and JSON of another schema with 422', async () => {
    let walked = 0;
    for (const endpoint of endpoints) {
      const { operationId, request } = endpoint.route;
      for (const type of Object.keys(request?.body?.content ?? {})) {
        const answer = (text: string, sent = type) => ask(endpoint, pathOf(endpoint), { type: sent, text });
        const other = await answer('{}', 'text/plain');
        expect([operationId, other]).toEqual([
          operationId,
          { status: 415, code: 'unsupported_media_type', field: 'Content-Type' },
        ]);
        walked++;
        if (!type.endsWith('json')) continue;
        expect([operationId, await answer('{"a":')]).toMatchObject([
          operationId,
          { status: 400, code: 'malformed_request' },
        ]);
        expect([operationId, await answer('"x"')]).toMatchObject([operationId, { status: 422, code: 'invalid_input' }]);
      }
    }
    expect(walked).toBeGreaterThan(15);
  });
});
