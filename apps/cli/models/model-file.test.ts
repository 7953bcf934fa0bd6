import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_MODEL_BYTES } from '@tandem/prediction/models/model-limits';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readModelFile } from './model-file.ts';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'tandem-model-file-'));
  for (const name of ['huge.onnx', 'empty.onnx']) await writeFile(join(cwd, name), '');
  await truncate(join(cwd, 'huge.onnx'), MAX_MODEL_BYTES + 1);
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

test('a file that the service would reject is rejected before it is sent, with the limit and a remedy', async () => {
  await expect(readModelFile({ cwd }, 'huge.onnx')).rejects.toMatchObject({
    message: 'huge.onnx has 256.1 MiB, more than the 256 MiB that a model file may have',
    remedy: 'export a smaller model: fewer or shallower trees, or int8 weights',
  });
  await expect(readModelFile({ cwd }, 'empty.onnx')).rejects.toMatchObject({ message: 'empty.onnx is empty' });
  await expect(readModelFile({ cwd }, 'none.onnx')).rejects.toMatchObject({
    message: `the file ${join(cwd, 'none.onnx')} does not exist`,
  });
});
