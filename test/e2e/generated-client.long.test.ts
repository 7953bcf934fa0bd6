/**
 * Tests a client that is generated from the OpenAPI document, as programs in other languages use it. The generator is
 * openapi-python-client (docs/applications.md), and its client calls every operation. Needs Python and a package index.
 */
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { adopt } from '@tandem/offline-store/adopt';
import { floats, node } from '@tandem/testing/onnx-writer';
import { scoreModel } from '@tandem/testing/score-model';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkoutPredictor, countPredictor, createCounts } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { findPythonTools, type PythonTools } from './generated-client.fixture.ts';

const USERS = 500;
const PROGRAM = join(import.meta.dirname, 'generated-client.py');
/** Makes a model whose score is the count plus a constant. */
const modelAdding = (more: number) =>
  scoreModel(1, [node('Add', ['features', 'more'], ['score'])], [floats('more', [1], [more])]);

let deployment: Deployment;
let api: Api;

beforeAll(async () => {
  deployment = await createDeployment();
  await createCounts(deployment.pool, USERS);
  const predictor = countPredictor({ batch: { chunkSize: 50 }, freshness: { liveTimeoutMs: 20_000 } });
  const explanations = { share: 1, keepForMs: 3_600_000 };
  await adopt(deployment.pool, {
    actor: 'test',
    predictors: [{ ...predictor, policy: { ...predictor.policy, explanations } }, checkoutPredictor()],
  });
  api = await deployment.startApi();
});
afterAll(() => deployment?.close());

it('a Python client generated from the document calls every operation, and parses every answer', async (context) => {
  const tools = await findPythonTools().catch((error: Error) =>
    context.skip(`needs python3 (3.11 or newer, with venv) and a package index: ${error.message}`),
  );
  const { folder } = deployment;
  const document = join(folder, 'openapi.json');
  await writeFile(document, await (await fetch(`${api.url}/openapi.json`)).text());
  await tools.generate(document, folder);
  expect([...(await callEverything(tools))].sort()).toEqual((await operationsOf(document)).sort());
});

/**
 * Runs the program, and returns the Python names of the operations that it called. Rejects with the program's error.
 */
async function callEverything({ python }: PythonTools): Promise<ReadonlySet<string>> {
  const { folder } = deployment;
  const files = { model: join(folder, 'model.onnx'), build: join(folder, 'build.onnx') };
  await writeFile(files.model, modelAdding(0.5));
  await writeFile(files.build, modelAdding(0.501));
  const program = spawn(python, [PROGRAM, api.url, folder, files.model, files.build], { stdio: 'pipe' });
  const complaints: string[] = [];
  program.stderr.on('data', (chunk) => complaints.push(String(chunk)));
  const ended = new Promise<number | null>((resolve) => program.on('close', resolve));
  const called = new Set<string>();
  for await (const line of createInterface({ input: program.stdout })) {
    const said = JSON.parse(line) as string;
    if (said === 'start a worker') await deployment.startWorker();
    else called.add(said);
  }
  expect(await ended, complaints.join('')).toBe(0);
  return called;
}

/** Returns the operations' names in Python, such as `read_many` for `readMany`. */
async function operationsOf(document: string): Promise<string[]> {
  const { paths } = JSON.parse(await readFile(document, 'utf8')) as Document;
  const ids = Object.values(paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId));
  return ids.map((id) => id.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId: string }>>>>;
}
