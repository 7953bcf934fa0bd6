import { existsSync } from 'node:fs';
import type { RequestColumn } from '@tandem/freshness/predictor';
import { withRequestDefaults } from '@tandem/freshness/request-features';
import * as models from '@tandem/testing/onnx-models';
import { describe, expect, it } from 'vitest';
import { batchOf, matrixPredictor, toyPredictor } from '../live/toy-predictor.fixture.ts';
import { cpuLimit } from '../process/time-limit.ts';
import { checkModel, inspectModel } from './check-model.ts';

const limits = { memoryLimitMb: 512, runLimit: cpuLimit(200) };
const check = ({ version, bytes }: ReturnType<typeof matrixPredictor>) => checkModel(version, bytes, limits);
const refused = (text: string) =>
  expect.objectContaining({ code: 'model_refused', message: expect.stringContaining(text) });

describe('inspectModel', { timeout: 60_000 }, () => {
  it('returns the inputs and outputs of a model', async () => {
    expect(await inspectModel(models.classifierModel())).toEqual({
      inputs: [{ name: 'features', type: 'float32', shape: ['N', 1] }],
      outputs: [
        { name: 'label', type: 'int64', shape: ['N'] },
        { name: 'probabilities', type: 'float32', shape: ['N', 2] },
      ],
    });
  });

  it('rejects files that are not a model, too large, or reference other files, with a remedy', async () => {
    const cases: [Buffer, string][] = [
      [Buffer.alloc(0), 'empty'],
      [models.externalDataModel('/etc/passwd'), 'external data'],
      [models.foreignModel('com.example'), 'domain "com.example"'],
      [models.foreignModel(''), 'No Op registered for Backdoor'],
    ];
    for (const [bytes, text] of cases) {
      const error = await inspectModel(bytes, { field: 'predictors.x.model' }).catch((e: unknown) => e);
      expect(error).toEqual(refused(text));
      expect(error).toMatchObject({ field: 'predictors.x.model', remedy: expect.any(String) });
    }
    await expect(inspectModel(Buffer.alloc(2_097_152), { maxBytes: 1_048_576 })).rejects.toEqual(
      refused('the file has 2 MiB, more than the 1 MiB that a model file may have'),
    );
  });
});

describe('checkModel', { timeout: 60_000 }, () => {
  it('passes models of every element type, of texts and of named inputs', async () => {
    for (const type of [
      'float16',
      'float32',
      'float64',
      'int8',
      'uint8',
      'int32',
      'int64',
      'bool',
      'string',
    ] as const) {
      const kind = type === 'string' ? 'string' : type.startsWith('float') ? 'number' : 'boolean';
      const inputs = [{ name: 'features', type, columns: ['f0'] }];
      const outputs = [{ name: 'score', output: 'score', type, width: null, index: 0 }];
      await check(toyPredictor(models.echoModel(type, 1), [{ name: 'f0', kind }], inputs, outputs));
    }
    const columns = [
      { name: 'plan', kind: 'string' as const },
      { name: 'age', kind: 'number' as const },
    ];
    const named = [
      { name: 'plan', type: 'string' as const, columns: ['plan'] },
      { name: 'age', type: 'float32' as const, columns: ['age'] },
    ];
    await check(toyPredictor(models.textModel(), columns, named));
  });

  it.each<[string, ReturnType<typeof matrixPredictor>, string]>([
    ['another width', matrixPredictor(models.linearModel({ weights: [1, 2, 3] }), 2), 'takes 3 values a user'],
    [
      'another type',
      matrixPredictor(models.echoModel('float64', 1), 1),
      'takes features float64 [N, 1], but the config fills features as float32',
    ],
    [
      'a batch of one',
      matrixPredictor(models.linearModel({ weights: [1], batch: 1 }), 1),
      'exported for 1 user at a time',
    ],
    ['maps', matrixPredictor(models.zipMapModel(), 2), 'ZipMap'],
    ['a run that never ends', matrixPredictor(models.loopModel(), 2), 'no answer within 200 ms'],
    ['too much memory', matrixPredictor(models.memoryModel(), 2), 'allocate memory'],
    ['fewer rows than users', matrixPredictor(models.droppingModel(), 2), 'gave 0 rows of output score for 1 user'],
    ['answers that are not numbers', matrixPredictor(models.rootModel(), 1), 'output score is NaN'],
    ['a run that fails', matrixPredictor(models.tableModel(), 1), 'out of data bounds'],
  ])('refuses %s, with the reason', async (_, predictor, text) => {
    const { version, bytes } = predictor;
    // The rows that make each model fail. The models without rows are rejected before a run.
    const worst = text.includes('memory')
      ? 1e11
      : text.includes('NaN')
        ? -1
        : text.includes('within')
          ? 2 ** 62
          : 1_000;
    const sample = batchOf(version, [version.query.columns.map(() => worst)]);
    await expect(checkModel(version, bytes, { ...limits, sample })).rejects.toEqual(refused(text));
  });

  it('tries a model with the examples of request features, else with values within their bounds', async () => {
    const plain = matrixPredictor(models.tableModel(), 1);
    const [column] = plain.version.query.columns;
    const withRequest = (request: RequestColumn) => {
      const version = { ...plain.version, query: { ...plain.version.query, columns: [] }, request: [request] };
      const sample = withRequestDefaults(version, batchOf(version, [[], [], []]));
      return checkModel(version, plain.bytes, { ...limits, sample });
    };
    // The table has the indices 0 to 9. A value outside the declared bounds and examples is never tried.
    const bounded = { name: column?.name ?? '', kind: 'integer', min: 0, max: 9 } as const;
    expect((await withRequest(bounded)).parity.users.real).toBe(3);
    expect((await withRequest({ ...bounded, max: 1_000, examples: [3, 8] })).parity).toMatchObject({
      ...{ users: { real: 3, madeUp: 64 }, refused: { real: 0, madeUp: 0 } },
    });
    await expect(withRequest({ ...bounded, examples: [12] })).rejects.toEqual(refused('out of data bounds'));
  });

  it('names the field and the output that do not match', async () => {
    const outputs = [{ name: 'risk', output: 'risk', type: 'float32' as const, width: null, index: 0 }];
    const predictor = matrixPredictor(models.linearModel({ weights: [1] }), 1, { outputs });
    const error = await check(predictor).catch((e: unknown) => e);
    expect(error).toMatchObject({
      field: 'predictors.toy.outputs.risk',
      message: expect.stringContaining('the model gives score'),
    });
  });

  it('never opens a file that a model names', async () => {
    await expect(inspectModel(models.externalDataModel('x'))).rejects.toEqual(refused('never opened'));
    expect(existsSync('x')).toBe(false);
  });
});
