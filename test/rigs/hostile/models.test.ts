/**
 * Runs the checks before adoption on every model of the corpus. A bad model must be rejected with the expected
 * sentence, and a good model must be served. A sound model in the same process must always give the same answers.
 */

import { asRefusal, checkModel, inspectModel } from '@tandem/inference/admission/check-model';
import { matrixPredictor, poolOf, scoresOf } from '@tandem/inference/live/toy-predictor.fixture';
import { findFault } from '@tandem/inference/model-file/onnx-file';
import { InferenceProcess, START_LIMIT } from '@tandem/inference/process/inference-process';
import { cpuLimit } from '@tandem/inference/process/time-limit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DAMAGED } from './models/damaged-files.ts';
import { EXPLAINED } from './models/explained.ts';
import { FORBIDDEN } from './models/forbidden-content.ts';
import { INSATIABLE } from './models/insatiable-models.ts';
import { type ModelCase, soundModel } from './models/model-case.ts';
import { SERVABLE } from './models/servable-models.ts';
import { UNFIT } from './models/unfit-models.ts';
import { UNLOADABLE } from './models/unloadable-graphs.ts';

const ALL = [...DAMAGED, ...FORBIDDEN, ...UNLOADABLE, ...UNFIT, ...INSATIABLE, ...SERVABLE];
const LIMITS = { memoryLimitMb: 256 };
const FIELD = 'predictors.toy.model';
/** The most memory that the walk over a file of a megabyte may use. */
const WALK_BYTES = 64 * 2 ** 20;

/** The models made so far. Some take a second, so each is made once, and once more to compare the bytes. */
const made = new Map<ModelCase, Buffer>();
function bytesOf(one: ModelCase): Buffer {
  const bytes = made.get(one) ?? one.bytes();
  made.set(one, bytes);
  return bytes;
}

const of = (check: ModelCase['check']) =>
  ALL.filter((one) => one.check === check).map((one) => [one.name, one] as const);

const sound = matrixPredictor(soundModel(), 2);
const pool = poolOf([sound], { processes: 1 });
const answers: number[] = [];
let isOver = false;
let serving: Promise<void>;
beforeAll(() => {
  serving = (async () => {
    while (!isOver) {
      answers.push(...(await scoresOf(pool, sound, [[0.5, 2]], { timeoutMs: 60_000 })));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
});
afterAll(async () => {
  isOver = true;
  await serving;
  await pool.close();
  expect(answers.length).toBeGreaterThan(0);
  expect(new Set(answers).size).toBe(1);
});

async function refusalOf(work: Promise<unknown>): Promise<{ message: string; remedy: string }> {
  const error = await work.then(
    () => new Error('it was not refused'),
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({
    code: 'model_refused',
    field: expect.stringMatching(/^predictors\.toy\./),
    remedy: expect.stringMatching(/\S/),
  });
  return error as { message: string; remedy: string };
}

/** Expects that the work is refused as the case says. */
async function expectRefusal({ name, says }: ModelCase, work: Promise<unknown>): Promise<string> {
  const { message, remedy } = await refusalOf(work);
  const [text = '', help = ''] = EXPLAINED[name] ?? [];
  for (const part of [says, text]) expect(message).toContain(part);
  expect(remedy).toContain(help);
  return message;
}

const checked = (bytes: Buffer, limits: object = {}) => {
  const { version } = matrixPredictor(bytes, 2);
  return checkModel(version, bytes, { ...LIMITS, field: FIELD, ...limits });
};
const inspected = (bytes: Buffer) => inspectModel(bytes, { ...LIMITS, field: FIELD });
const LOADING = /^(the model cannot be loaded|loading the model)/;

describe('the corpus of models', () => {
  it('has more than a hundred different models, each with the same bytes each time', () => {
    expect(ALL.length).toBeGreaterThanOrEqual(120);
    expect(new Set(ALL.map(({ name }) => name)).size).toBe(ALL.length);
    for (const one of ALL) expect(one.bytes().equals(bytesOf(one))).toBe(true);
    expect(ALL.map(({ name }) => name)).toEqual(expect.arrayContaining(Object.keys(EXPLAINED)));
  });
});

describe('a file that the walk over its bytes refuses', () => {
  it.each(of('bytes'))('%s', (_, one) => {
    const file = bytesOf(one);
    const before = process.memoryUsage().arrayBuffers;
    const fault = findFault(file);
    expect(fault?.reason).toContain(one.says);
    expect(one.says).not.toBe('');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(WALK_BYTES);
  });

  it('is refused with the same sentence by the check of models', async () => {
    // Only some files, because each starts a process.
    const some = of('bytes').filter((_, i) => i % 12 === 0);
    for (const [, one] of some) {
      expect((await refusalOf(inspected(bytesOf(one)))).message).toContain(one.says);
    }
  }, 120_000);
});

describe('a model that cannot be loaded', { timeout: 120_000 }, () => {
  // One child for all models, used like in `inspectModel`. A rejected model must not affect the next model.
  let child: InferenceProcess | undefined;
  afterAll(() => child?.kill('the test is over'));

  async function load(bytes: Buffer): Promise<void> {
    if (!child?.isAlive()) child = new InferenceProcess({ ...LIMITS, boundData: true, startLimit: START_LIMIT });
    await child.ready;
    await child.load({ session: 'trial', bytes, sha256: null }, cpuLimit(10_000)).catch((error) => {
      throw asRefusal(error, 'loading the model', { ...LIMITS, field: FIELD });
    });
  }

  it.each(of('load'))('%s', async (_, one) => {
    const file = bytesOf(one);
    expect(findFault(file)).toBeNull();
    expect(await expectRefusal(one, load(file))).toMatch(LOADING);
  });
});

describe.concurrent('a model with unusable inputs or outputs', { timeout: 120_000 }, () => {
  it.each([...of('signature'), ...of('trial')])('%s', async (_, one) => {
    await expectRefusal(one, checked(bytesOf(one)));
  });
});

describe.concurrent('a model that never ends', { timeout: 120_000 }, () => {
  it.each(of('time'))('%s', async (_, one) => {
    await expectRefusal(one, checked(bytesOf(one), { runLimit: cpuLimit(200) }));
  });
});

describe.concurrent('a model that exhausts the memory', { timeout: 120_000 }, () => {
  it.each(of('memory'))('%s', async (_, one) => {
    await expectRefusal(one, checked(bytesOf(one)));
  });
});

describe.concurrent('a model that only looks dangerous', { timeout: 120_000 }, () => {
  it.each(of('served'))('%s', async (_, one) => {
    const { parity } = await checked(bytesOf(one));
    expect(parity.users.madeUp).toBeGreaterThan(0);
  });
});
