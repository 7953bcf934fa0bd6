import type { z } from '@hono/zod-openapi';
import { SENT } from '@tandem/wire/client-types/sent';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from '../api.fixture.ts';
import { createApp } from '../app.ts';
import { createEndpoints } from '../endpoints.ts';
import type { Endpoint } from '../http/endpoint.ts';
import type { JsonSchema } from './name-schemas.ts';
import { describeApi } from './openapi.ts';

let api: TestApi;
let endpoints: readonly Endpoint[];
beforeAll(async () => {
  api = await createTestApi();
  endpoints = createEndpoints(api.dependencies.app, { document: () => '', page: () => '' });
});
afterAll(() => api?.close());

interface Content {
  readonly schema?: z.ZodType;
  readonly example?: unknown;
}

/** Every body that an endpoint takes or gives, with its place. */
function contents({ route }: Endpoint): [place: string, content: Content][] {
  const { body } = route.request ?? {};
  const answers = Object.entries(route.responses).map(
    ([status, one]) => [status, 'content' in one ? one.content : {}] as const,
  );
  return [['request', body?.content] as const, ...answers].flatMap(([place, content]) =>
    Object.entries(content ?? {}).map(([type, one]): [string, Content] => [
      `${route.operationId} ${place} ${type}`,
      one as Content,
    ]),
  );
}

interface DescribedBody {
  readonly content?: Readonly<Record<string, { readonly schema?: JsonSchema }>>;
}

interface DescribedOperation {
  readonly operationId: string;
  readonly description?: string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly { readonly name: string; readonly required?: boolean }[];
  readonly requestBody?: DescribedBody;
  readonly responses: Readonly<Record<string, DescribedBody>>;
}

/** The document as programs read it. */
function published() {
  return JSON.parse(JSON.stringify(describeApi(endpoints))) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, DescribedOperation>>>>;
    readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
  };
}

/** Every schema of the document with its place, from `components` and from bodies down. */
function schemas(): [place: string, schema: JsonSchema][] {
  const { components } = published();
  const ofBodies = bodies().map(({ place, schema }): [string, JsonSchema] => [place, schema]);
  return [...Object.entries(components.schemas), ...ofBodies].flatMap(([place, schema]) => within(place, schema));
}

function within(place: string, schema: JsonSchema): [place: string, schema: JsonSchema][] {
  const { properties = {}, items, additionalProperties, anyOf = [], oneOf = [] } = schema;
  const parts: [string, JsonSchema][] = [
    ...Object.entries(properties).map(([name, one]): [string, JsonSchema] => [`${place}.${name}`, one]),
    ...[...anyOf, ...oneOf].map((one, i): [string, JsonSchema] => [`${place}|${i}`, one]),
    ...(items ? ([[`${place}[]`, items]] as [string, JsonSchema][]) : []),
    ...(typeof additionalProperties === 'object'
      ? ([[`${place}{}`, additionalProperties]] as [string, JsonSchema][])
      : []),
  ];
  return [[place, schema], ...parts.flatMap(([name, one]) => within(name, one))];
}

function operations(): DescribedOperation[] {
  return Object.values(published().paths).flatMap((methods) => Object.values(methods));
}

/** Every body of the document. */
function bodies(): { place: string; isRequest: boolean; type: string; schema: JsonSchema }[] {
  return operations().flatMap(({ operationId, requestBody, responses }) =>
    Object.entries({ request: requestBody, ...responses }).flatMap(([name, one]) =>
      Object.entries(one?.content ?? {}).map(([type, { schema = {} }]) => ({
        ...{ place: `${operationId} ${name} ${type}`, isRequest: name === 'request', type, schema },
      })),
    ),
  );
}

/** CPU of a piece of work in ms: what it takes however loaded the machine is. */
async function cpuOf(work: () => unknown): Promise<number> {
  const begin = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1_000;
}

describe('the description of the API', () => {
  it('names each operation once, under a heading that is explained', () => {
    const ids = endpoints.map(({ route }) => route.operationId);
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
    const explained = describeApi(endpoints).tags?.map(({ name }) => name) ?? [];
    const used = new Set(endpoints.flatMap(({ route }) => route.tags ?? []));
    expect([...used].filter((tag) => !explained.includes(tag))).toEqual([]);
  });

  it('has examples that are what their schemas say', () => {
    const wrong = endpoints.flatMap(contents).flatMap(([place, { schema, example }]) => {
      const result = example === undefined ? undefined : schema?.safeParse(example);
      return result === undefined || result.success ? [] : [`${place}: ${result.error.message}`];
    });
    expect(wrong).toEqual([]);
  });

  it('ends with the scopes that an operation asks for', () => {
    const operations = Object.values(published().paths).flatMap((methods) => Object.values(methods));
    const asked = operations.map(({ operationId, description, security }) => {
      const scopes = security.flatMap((one) => one.apiKey ?? []);
      const said = /(?:^| )Scope: (`.+`)\.$/.exec(description ?? '')?.[1];
      return { operationId, scope: scopes.length === 0 ? undefined : `\`${scopes.join('` or `')}\``, said };
    });
    expect(asked.filter(({ scope }) => scope !== undefined).length).toBeGreaterThan(40);
    expect(asked.filter(({ scope, said }) => scope !== said)).toEqual([]);
  });

  it('takes bodies whose names the generator of the client’s types knows as sent', () => {
    const named = Object.keys(published().components.schemas);
    const sent = bodies()
      .filter(({ isRequest }) => isRequest)
      .flatMap(({ schema }) => named.filter((name) => JSON.stringify(schema).includes(`/schemas/${name}"`)));
    expect(sent.filter((name) => !SENT.includes(name))).toEqual([]);
    expect(SENT.filter((name) => !sent.includes(name))).toEqual([]);
  });

  it('names the query parameters that are taken, and no other', () => {
    const named = endpoints.map(({ route, query = [] }) => {
      const shape = (route.request?.query as z.ZodObject | undefined)?.shape ?? {};
      return { id: route.operationId, described: Object.keys(shape).sort(), taken: [...query].sort() };
    });
    expect(named.filter(({ described, taken }) => described.join() !== taken.join())).toEqual([]);
  });

  it('is made by `describe`, after which who reads it first waits no more than others do', async () => {
    const cpu = { making: Number.POSITIVE_INFINITY, reading: Number.POSITIVE_INFINITY };
    // The least of several: this process does other things meanwhile.
    for (let i = 0; i < 6; i++) {
      const app = createApp(api.dependencies.app);
      const making = await cpuOf(app.describe);
      const reading = await cpuOf(async () => (await app.request('/docs')).text());
      cpu.making = Math.min(cpu.making, making);
      cpu.reading = Math.min(cpu.reading, reading);
    }
    expect(cpu.reading).toBeLessThan(cpu.making / 2);
  });
});

describe('what generators of clients need of the description', () => {
  it('names every object schema', () => {
    const named = new Set(Object.keys(published().components.schemas));
    const unnamed = schemas().filter(([place, { properties }]) => properties !== undefined && !named.has(place));
    expect(unnamed.map(([place]) => place)).toEqual([]);
    expect(named.size).toBeGreaterThan(100);
  });

  it('has no two names that differ in case or punctuation alone: they would be one class', () => {
    const names = Object.keys(published().components.schemas).map((name) => name.toLowerCase().replaceAll(/\W|_/g, ''));
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it('says at its use that a named schema may be null, not in the schema', () => {
    const nullable = Object.entries(published().components.schemas).filter(([, { type }]) =>
      [type].flat().includes('null'),
    );
    expect(nullable.map(([name]) => name)).toEqual([]);
  });

  it('has bodies of media types that generators read and write', () => {
    const unread = bodies().filter(({ type, isRequest }) => {
      const isKnown = type === 'application/octet-stream' || /^application\/([\w.-]+\+)?json$/.test(type);
      return !isKnown && (isRequest || !type.startsWith('text/'));
    });
    expect(unread.map(({ place }) => place)).toEqual([]);
  });

  // Else what openapi-python-client writes does not import what it names: a NameError.
  it('has an optional parameter for each operation that takes several media types', () => {
    const without = operations().filter(
      ({ requestBody, parameters = [] }) =>
        Object.keys(requestBody?.content ?? {}).length > 1 && parameters.every(({ required }) => required),
    );
    expect(without.map(({ operationId }) => operationId)).toEqual([]);
  });

  // openapi-python-client asks `isinstance(body, list[Event])` there, which raises a TypeError for each body.
  it('has no array among the bodies of an operation that takes several media types', () => {
    const requests = bodies().filter(({ isRequest }) => isRequest);
    const operationOf = ({ place }: { place: string }) => place.split(' ')[0];
    const arrays = requests.filter(
      (body) =>
        body.schema.type === 'array' && requests.filter((one) => operationOf(one) === operationOf(body)).length > 1,
    );
    expect(arrays.map(({ place }) => place)).toEqual([]);
  });
});
