/** Tests whether `tandem up` scores all users again, with a service on a real socket. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { createCli } from '@tandem/commands/command';
import type { StateDir } from '@tandem/local-servers/state-dir';
import { afterEach, expect, test } from 'vitest';
import { runFirstBatches } from './first-batch.ts';

let server: Server | undefined;
afterEach(closeServer);

function closeServer(): void {
  server?.closeAllConnections();
  server?.close();
}

const YEAR_MS = 365 * 86_400_000;
const startedAt = '2026-11-24T02:00:00.120Z';
const CURRENT = { generation: '1', modelVersion: '2', state: 'published', users: 3, inForce: true, startedAt };

interface Started {
  /** The paths of POST requests. */
  readonly posts: readonly string[];
  readonly said: readonly string[];
  readonly error: unknown;
}

async function postsFor(generationExpired: boolean, now: number): Promise<readonly string[]> {
  return (await startFor(generationExpired, now)).posts;
}

/**
 * Starts the first runs with a service in this state.
 * @param options.refusal the answer of the service to the start of a run
 */
async function startFor(
  generationExpired: boolean,
  now: number,
  { refusal, generations = [CURRENT] }: { readonly refusal?: object; readonly generations?: readonly object[] } = {},
): Promise<Started> {
  const posts: string[] = [];
  const said: string[] = [];
  const answers: Record<string, unknown> = {
    '/v1/predictors': {
      predictors: [{ name: 'p', modelVersion: '2', generationExpired, freshness: { maxAgeSeconds: 129_600 } }],
    },
    '/v1/predictors/p/generations': { generations },
  };
  closeServer();
  server = createServer(({ method, url = '' }, response) => {
    if (method === 'POST') posts.push(url);
    const answer = answers[url];
    if (method === 'POST' && refusal) {
      response.writeHead(422, { 'content-type': 'application/problem+json' });
      response.end(JSON.stringify(refusal));
      return;
    }
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { type: 'urn:tandem:problem:no_such_path', title: 'no' }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const quiet = { write: () => true };
  const signal = new AbortController().signal;
  const cli = createCli({
    ...{ stdin: Readable.from([]), stdout: quiet, stderr: quiet, env: {}, cwd: '/', signal, ask: undefined },
    whenForced: () => () => undefined,
    now: () => now,
  });
  const context = {
    ...{
      cli,
      say: (_: string, line: string) => void said.push(line),
      keep: () => undefined,
      ended: new Promise<never>(() => undefined),
    },
    stateDir: {} as StateDir,
    supervision: { now: cli.now, sleep: async () => undefined },
  };
  const place = { url, databaseUrl: 'postgres://nobody.invalid/none' };
  const error: unknown = await runFirstBatches(context, place, ['p']).catch((thrown: unknown) => thrown);
  return { posts, said, error };
}

test('a wrong clock of this machine makes nothing expire', async () => {
  expect(await postsFor(false, Date.parse(startedAt) + YEAR_MS)).toEqual([]);
});

test('a generation that the service reports as expired is scored again, whatever the clock of this machine', async () => {
  expect(await postsFor(true, Date.parse(startedAt) - YEAR_MS)).toEqual(['/v1/runs']);
});

test('a predictor that needs request features is not scored, and the start continues', async () => {
  const refusal = { type: 'urn:tandem:problem:request_features_required', title: 'no', status: 422 };
  const { said, error } = await startFor(true, Date.parse(startedAt), { refusal });
  expect(error).toBeUndefined();
  expect(said.at(-1)).toContain('takes request features without a default');
});

test('the start says whether no predictions are stored, or none of the served model version are current', async () => {
  const saidFor = async (generations: readonly object[]) =>
    (await startFor(false, Date.parse(startedAt), { generations })).said[0];
  expect(await saidFor([])).toBe('p: no predictions are stored yet, scoring all users');
  const kept = { ...CURRENT, inForce: false };
  const isNotCurrent = 'p: no generation of model version 2 is current, scoring all users';
  expect(await saidFor([kept])).toBe(isNotCurrent);
  expect(await saidFor([{ ...CURRENT, modelVersion: '1' }])).toBe(isNotCurrent);
});
