import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { createClient } from './create-client.ts';

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly range: string | null;
  readonly bytes: number;
}

/** Creates a service that stores parts of files, and drops as many connections as the test says. */
function partialService(breaks: number) {
  const asked: Asked[] = [];
  let file = Buffer.alloc(0);
  let left = breaks;
  const fetch: typeof globalThis.fetch = async (input, init = {}) => {
    const { pathname } = new URL(String(input));
    const body = init.body === undefined || init.body === null ? Buffer.alloc(0) : Buffer.from(init.body as Uint8Array);
    const range = new Headers(init.headers).get('content-range');
    asked.push({ method: init.method ?? 'GET', path: pathname, range, bytes: body.length });
    if (init.method === 'POST') return Response.json({ modelVersion: '2', push: JSON.parse(String(init.body)) });
    if (init.method === 'GET' && file.length === 0) {
      return Response.json({ type: 'urn:tandem:problem:unknown_artifact', title: 'Unknown' }, { status: 404 });
    }
    if (init.method === 'PUT') {
      if (file.length > 0 && left-- > 0) throw new TypeError('the connection broke');
      file = Buffer.concat([file, body]);
    }
    return Response.json({ received: file.length });
  };
  return { asked, fetch, file: () => file };
}

it('a push uploads in parts, resumes after a lost connection, and then sends the changed settings', async () => {
  const model = Buffer.alloc(2_500_000, 'weights');
  const service = partialService(2);
  const sleep = () => Promise.resolve();
  const client = createClient({ url: 'http://tandem', fetch: service.fetch, sleep, random: () => 0 });
  const progress: number[] = [];
  const push = { features: { sql: 'select …' }, label: 'challenger' };
  const version = await client.pushVersion('a/b', model, push, { onProgress: (sent) => progress.push(sent) });
  const artifact = createHash('sha256').update(model).digest('hex');
  expect(version).toEqual({ modelVersion: '2', push: { artifact, ...push } });
  expect(service.file().equals(model)).toBe(true);
  expect(progress).toEqual([0, 1_048_576, 2_097_152, 2_500_000]);
  const ranges = service.asked.filter(({ method }) => method === 'PUT').map(({ range }) => range);
  const second = 'bytes 1048576-2097151/2500000';
  expect(ranges).toEqual(['bytes 0-1048575/2500000', second, second, second, 'bytes 2097152-2499999/2500000']);
  expect(service.asked.at(-1)?.path).toBe('/v1/models/a%2Fb/versions');
});
