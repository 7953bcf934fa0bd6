import type { z } from '@hono/zod-openapi';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from './api.fixture.ts';
import { createApp } from './app.ts';
import type { Endpoint } from './endpoint.ts';
import { createEndpoints } from './endpoints.ts';
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
