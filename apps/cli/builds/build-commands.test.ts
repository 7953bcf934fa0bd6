/** Tests of `tandem build` against a socket, and on machines without a suitable Python. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json, text } from 'node:stream/consumers';
import { BUILD_COMPARISON_EXAMPLE } from '@tandem/wire/builds';
import { MODEL_DETAIL_EXAMPLE } from '@tandem/wire/models';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../program.fixture.ts';

let folder: string;
let server: Server;
let url: string;
let asked: { readonly path: string; readonly body: unknown }[];
let answer: (body: Record<string, unknown>) => { readonly status: number; readonly body: object };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-build-test-'));
  asked = [];
  answer = ({ parent, build }) => ({
    status: 201,
    body: { ...MODEL_DETAIL_EXAMPLE, modelVersion: '3', parent, build },
  });
  server = createServer((request, response) => void serve(request, response)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url?.startsWith('/v1/artifacts/')) {
    const uploaded = (await text(request)).length;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ artifact: 'a', bytes: uploaded, received: uploaded, complete: false }));
    return;
  }
  const body = (await json(request)) as Record<string, unknown>;
  asked.push({ path: request.url ?? '', body });
  const { status, body: reply } = request.url?.endsWith('/comparison')
    ? { status: 200, body: BUILD_COMPARISON_EXAMPLE }
    : answer(body);
  response.writeHead(status, { 'content-type': status < 300 ? 'application/json' : 'application/problem+json' });
  response.end(JSON.stringify(reply));
}

const build = (...args: string[]) => run(['build', ...args, '--url', url], { cwd: folder });

describe('a machine without such a Python', () => {
  test('gets the commands that install one, with the tested releases', async () => {
    const { code, err } = await build('create', 'repurchase', '2', '--python', './none/python');
    expect(code).toBe(1);
    expect(err).toContain('making a build needs Python, but ./none/python does not exist');
    expect(err).toMatch(/python3 -m venv build-python && build-python\/bin\/pip install onnx==\S+ onnxruntime==\S+\n/);
    expect(err).toContain('then add: --python build-python/bin/python');
    expect(asked).toEqual([]);
  });

  test('gets the error of its Python', async () => {
    const python = join(folder, 'python');
    await writeFile(
      python,
      '#!/bin/sh\necho "Traceback (most recent call last):" >&2\necho "ModuleNotFoundError: No module named \'onnx\'" >&2\nexit 1\n',
    );
    await chmod(python, 0o755);
    const { code, err } = await build('create', 'repurchase', '2', '--python', python);
    expect([code, err]).toEqual([
      1,
      expect.stringContaining("cannot make builds: ModuleNotFoundError: No module named 'onnx'"),
    ]);
  });

  test('gets errors of usage first', async () => {
    const { code, err } = await build('create', 'repurchase', '2', '--rows', '10', '--python', './none/python');
    expect([code, err]).toEqual([2, expect.stringContaining('add --static')]);
    expect((await build('create', 'repurchase', '2', '--kind', 'pruned')).code).toBe(2);
  });
});

describe('a build that was made elsewhere', () => {
  const register = async (...more: string[]) => {
    await writeFile(join(folder, 'small.onnx'), 'a model');
    return build('register', 'repurchase', '2', 'small.onnx', '--kind', 'int8', ...more);
  };

  test('is pushed with its kind and parent, and the next command is printed', async () => {
    const { code, out } = await register('--row-by-row', '--note', 'by hand', '--metric', 'auc=0.8');
    expect(code).toBe(0);
    expect(asked).toEqual([
      {
        path: '/v1/models/repurchase/versions',
        body: {
          artifact: expect.stringMatching(/^[0-9a-f]{64}$/),
          ...{ parent: '2', build: 'int8', rowByRow: true, note: 'by hand', metrics: { auc: 0.8 } },
        },
      },
    ]);
    expect(out).toContain('tandem build compare repurchase 3');
  });

  test('whose rows depend on each other is rejected with the option of the command', async () => {
    const problem = {
      ...{ type: 'urn:tandem:problem:model_refused', title: 'no', status: 422, field: 'artifact' },
      detail: 'score of user 4 is 0.81 alone, but 0.79 in a batch of 64',
      remedy: 'Set rowByRow: true, which infers each user alone.',
    };
    answer = () => ({ status: 422, body: problem });
    const { code, err } = await register();
    expect(code).toBe(1);
    expect(err).toContain('score of user 4 is 0.81 alone, but 0.79 in a batch of 64');
    expect(err).toContain('add --row-by-row');
  });

  test('that is already known as something else is rejected', async () => {
    answer = () => ({ status: 200, body: { ...MODEL_DETAIL_EXAMPLE, modelVersion: '2' } });
    const { code, err } = await register();
    expect([code, err]).toEqual([
      1,
      expect.stringContaining('is already model version 2, which is recorded as a version without a parent'),
    ]);
  });

  test('needs a known kind and a file', async () => {
    expect((await build('register', 'repurchase', '2', 'small.onnx')).code).toBe(2);
    expect((await build('register', 'repurchase', '2', 'small.onnx', '--kind', 'tiny')).code).toBe(2);
    const { code, err } = await build('register', 'repurchase', '2', 'none.onnx', '--kind', 'other');
    expect([code, err]).toEqual([1, expect.stringContaining('none.onnx')]);
  });
});

describe('a comparison', () => {
  test('compares the users of a file, and shows both versions side by side', async () => {
    await writeFile(join(folder, 'labels.csv'), 'user_id,label\n42,1\n43,0\n');
    const { code, out } = await build('compare', 'repurchase', '3', '--labels', 'labels.csv');
    expect(code).toBe(0);
    const labels = [
      { userId: '42', label: 1 },
      { userId: '43', label: 0 },
    ];
    expect(asked).toEqual([{ path: '/v1/models/repurchase/versions/3/comparison', body: { labels } }]);
    expect(out).toMatch(/^repurchase: int8 build 3 compared with model version 2/);
  });

  test('is one JSON document with --json', async () => {
    const { out } = await build('compare', 'repurchase', '3', '--users', '50', '--json');
    expect(JSON.parse(out)).toEqual(BUILD_COMPARISON_EXAMPLE);
    expect(asked[0]?.body).toEqual({ users: 50 });
    expect((await build('compare', 'repurchase', '3', '--users', '5', '--labels', 'l.csv')).code).toBe(2);
  });
});
