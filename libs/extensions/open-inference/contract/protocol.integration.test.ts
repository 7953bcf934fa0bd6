/**
 * Compares the documents of the Open Inference Protocol with the real API. Every path of its OpenAPI document answers
 * in the form of its schemas, and the shipped proto file is the protocol's own. `open_inference_rest.json` is the
 * document as JSON.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { TestApi } from '../../../../apps/api/api.fixture.ts';
import { root } from '../../../../test/architecture/source-tree.ts';
import { createOpenApi } from '../models/open-api.fixture.ts';
import { INFERENCE_REQUEST_EXAMPLE, InferenceRequestSchema } from '../wire.ts';

interface Operation {
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { schema: JsonSchema }>> }>>;
}

type JsonSchema = Parameters<typeof z.fromJSONSchema>[0];

const protocol = JSON.parse(
  readFileSync(join(import.meta.dirname, 'open_inference_rest.json'), 'utf8').replaceAll(
    '#/components/schemas/',
    '#/$defs/',
  ),
) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation | object[]>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
};

function schemaOf(schema: JsonSchema) {
  return z.fromJSONSchema({ ...(schema as object), $defs: protocol.components.schemas } as JsonSchema);
}

const named = (name: string) => schemaOf({ $ref: `#/$defs/${name}` } as JsonSchema);

let api: TestApi;
beforeAll(async () => {
  api = await createOpenApi();
});
afterAll(() => api?.close());

const BODY = { inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 2], data: [[1, 2]] }] };

const operations = Object.entries(protocol.paths).flatMap(([path, methods]) =>
  Object.entries(methods)
    .filter(([method]) => method === 'get' || method === 'post')
    .map(([method, operation]) => ({ path, method, operation: operation as Operation })),
);

describe('the protocol’s OpenAPI document', () => {
  it('has only operations that this test checks', () => {
    expect(operations.map(({ method, path }) => `${method} ${path}`)).toHaveLength(6);
  });

  it.each(operations)('$method $path answers in its form', async ({ path, method, operation }) => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the document writes its parameters so
    const url = path.replace('${MODEL_NAME}', 'repurchase').replace('${MODEL_VERSION}', '1');
    const response = method === 'get' ? await api.get(url) : await api.post(url, BODY);
    expect(response.status).toBe(200);
    const schema = operation.responses['200']?.content?.['application/json']?.schema;
    const answer = await response.json();
    if (schema) expect(schemaOf(schema).safeParse(answer).error).toBeUndefined();
  });

  it.each([
    ['repurchase', BODY],
    ['repurchase.hybrid', { inputs: [{ name: 'user_id', datatype: 'BYTES', shape: [1], data: ['1'] }] }],
  ])('defines a form of answers that the answers of %s have', async (model, body) => {
    expect(named('inference_request').safeParse(body).error).toBeUndefined();
    const answer = await (await api.post(`/v2/models/${model}/infer`, body)).json();
    expect(named('inference_response').safeParse(answer).error).toBeUndefined();
    const metadata = await (await api.get(`/v2/models/${model}`)).json();
    expect(named('metadata_model_response').safeParse(metadata).error).toBeUndefined();
  });

  it('defines a form of errors that our errors have', async () => {
    const refused = await api.post('/v2/models/nobody/infer', BODY);
    const answer = (await refused.json()) as { readonly error: unknown };
    expect(named('inference_error_response').safeParse(answer).error).toBeUndefined();
    expect(answer.error).toEqual(expect.any(String));
  });

  it('accepts the requests of our description, and our description accepts the requests of its examples', () => {
    expect(named('inference_request').safeParse(INFERENCE_REQUEST_EXAMPLE).error).toBeUndefined();
    const { 'x-examples': examples } = protocol.components.schemas.inference_request as {
      'x-examples': Record<string, object>;
    };
    expect(InferenceRequestSchema.safeParse(examples['Example 1']).error).toBeUndefined();
  });
});

it('the proto file that is shipped is the protocol’s own, below the lines that say where it is from', () => {
  const lines = readFileSync(join(root, 'libs/extensions/open-inference/grpc/open_inference_grpc.proto'), 'utf8').split(
    '\n',
  );
  const origin = lines.splice(0, 2).join('\n');
  expect(origin).toContain('https://github.com/kserve/open-inference-protocol');
  const hash = createHash('sha256').update(lines.join('\n')).digest('hex');
  expect(hash).toBe('0f715460d60b014a23e06ac8e768cfa3d8336221cdb66bd7aeeab6dc27620b0f');
});
