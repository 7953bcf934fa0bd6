import type { z } from '@hono/zod-openapi';
import type { Endpoint } from '@tandem/endpoints/endpoint';
import { SENT } from '@tandem/wire/client-types/sent';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from '../api.fixture.ts';
import { createApp, tagsOf } from '../app.ts';
import { createEndpoints } from '../endpoints.ts';
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

/** Returns the request and response bodies of an endpoint, each with its place. */
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

/** Returns the document as clients read it. */
function published() {
  return JSON.parse(JSON.stringify(describeApi(endpoints, tagsOf(api.dependencies.app.extensions)))) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, DescribedOperation>>>>;
    readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
  };
}

/** Returns every schema in `components` and in bodies, at any depth, with its place. */
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

/** Returns every body of the document. */
function bodies(): { place: string; isRequest: boolean; type: string; schema: JsonSchema }[] {
  return operations().flatMap(({ operationId, requestBody, responses }) =>
    Object.entries({ request: requestBody, ...responses }).flatMap(([name, one]) =>
      Object.entries(one?.content ?? {}).map(([type, { schema = {} }]) => ({
        ...{ place: `${operationId} ${name} ${type}`, isRequest: name === 'request', type, schema },
      })),
    ),
  );
}

/** Returns the CPU time of work in ms, which hardly depends on the load of the machine. */
async function cpuOf(work: () => unknown): Promise<number> {
  const begin = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1_000;
}

describe('the description of the API', () => {
  it('names each operation once, under a tag with a description', () => {
    const ids = endpoints.map(({ route }) => route.operationId);
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
    const explained =
      describeApi(endpoints, tagsOf(api.dependencies.app.extensions)).tags?.map(({ name }) => name) ?? [];
    const used = new Set(endpoints.flatMap(({ route }) => route.tags ?? []));
    expect([...used].filter((tag) => !explained.includes(tag))).toEqual([]);
  });

  it('has examples that match their schemas', () => {
    const wrong = endpoints.flatMap(contents).flatMap(([place, { schema, example }]) => {
      const result = example === undefined ? undefined : schema?.safeParse(example);
      return result === undefined || result.success ? [] : [`${place}: ${result.error.message}`];
    });
    expect(wrong).toEqual([]);
  });

  it('ends the description of each operation with its scopes', () => {
    const operations = Object.values(published().paths).flatMap((methods) => Object.values(methods));
    const asked = operations.map(({ operationId, description, security }) => {
      const scopes = security.flatMap((one) => one.apiKey ?? []);
      const said = /(?:^| )Scope: (`.+`)\.$/.exec(description ?? '')?.[1];
      return { operationId, scope: scopes.length === 0 ? undefined : `\`${scopes.join('` or `')}\``, said };
    });
    expect(asked.filter(({ scope }) => scope !== undefined).length).toBeGreaterThan(40);
    expect(asked.filter(({ scope, said }) => scope !== said)).toEqual([]);
  });

  it('has request bodies that the generator of the client’s types lists as sent', () => {
    const named = Object.keys(published().components.schemas);
    const sent = bodies()
      .filter(({ isRequest }) => isRequest)
      .flatMap(({ schema }) => named.filter((name) => JSON.stringify(schema).includes(`/schemas/${name}"`)));
    expect(sent.filter((name) => !SENT.includes(name))).toEqual([]);
    expect(SENT.filter((name) => !sent.includes(name))).toEqual([]);
  });

  it('describes exactly the query parameters that are accepted', () => {
    const named = endpoints.map(({ route, query = [] }) => {
      const shape = (route.request?.query as z.ZodObject | undefined)?.shape ?? {};
      return { id: route.operationId, described: Object.keys(shape).sort(), taken: [...query].sort() };
    });
    expect(named.filter(({ described, taken }) => described.join() !== taken.join())).toEqual([]);
  });

  it('is built by `describe`, so that its first reader does not wait for it', async () => {
    const cpu = { making: Number.POSITIVE_INFINITY, reading: Number.POSITIVE_INFINITY };
    // The minimum of several rounds counts, because this process does other work meanwhile.
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

describe('the description, for client generators,', () => {
  it('names every object schema', () => {
    const named = new Set(Object.keys(published().components.schemas));
    const unnamed = schemas().filter(([place, { properties }]) => properties !== undefined && !named.has(place));
    expect(unnamed.map(([place]) => place)).toEqual([]);
    expect(named.size).toBeGreaterThan(100);
  });

  it('has no names that differ only in case or punctuation, which would become one class', () => {
    const names = Object.keys(published().components.schemas).map((name) => name.toLowerCase().replaceAll(/\W|_/g, ''));
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it('says that a named schema may be null where it is used, not in the schema', () => {
    const nullable = Object.entries(published().components.schemas).filter(([, { type }]) =>
      [type].flat().includes('null'),
    );
    expect(nullable.map(([name]) => name)).toEqual([]);
  });

  it('uses only media types that generators can read and write', () => {
    const unread = bodies().filter(({ type, isRequest }) => {
      const isKnown = type === 'application/octet-stream' || /^application\/([\w.-]+\+)?json$/.test(type);
      return !isKnown && (isRequest || !type.startsWith('text/'));
    });
    expect(unread.map(({ place }) => place)).toEqual([]);
  });

  it('describes the events of a stream as parsers give them, with the schema of their data', () => {
    const streams = bodies().filter(({ type }) => type === 'text/event-stream');
    expect(streams.map(({ place }) => place)).toEqual(['watchRun 200 text/event-stream']);
    const { schemas } = published().components;
    const event = schemas.WatchRunAnswer;
    expect(streams[0]?.schema.anyOf).toEqual([{ $ref: '#/components/schemas/WatchRunAnswer' }, { type: 'string' }]);
    expect(Object.keys(schemas)).toContain('Run');
    expect(event?.properties?.data).toMatchObject({
      type: 'string',
      contentMediaType: 'application/json',
      contentSchema: { $ref: '#/components/schemas/Run' },
    });
  });

  // Otherwise the code of openapi-python-client raises a NameError, because it lacks an import.
  it('has an optional parameter in each operation that takes several media types', () => {
    const without = operations().filter(
      ({ requestBody, parameters = [] }) =>
        Object.keys(requestBody?.content ?? {}).length > 1 && parameters.every(({ required }) => required),
    );
    expect(without.map(({ operationId }) => operationId)).toEqual([]);
  });

  // For such bodies openapi-python-client generates `isinstance(body, list[Event])`, which always raises a TypeError.
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
