import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_MODEL_BYTES } from '@tandem/prediction/models/model-limits';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { problemsOf } from './config-problem.ts';
import { checkConfig } from './load-config.ts';

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-config-'));
  file = join(folder, 'tandem.config.ts');
  await writeFile(join(folder, 'model.onnx'), 'model');
  await writeFile(join(folder, 'empty.onnx'), '');
  await mkdir(join(folder, 'folder.onnx'));
  await writeFile(join(folder, 'huge.onnx'), '');
  await truncate(join(folder, 'huge.onnx'), MAX_MODEL_BYTES + 1);
});
afterAll(() => rm(folder, { recursive: true }));

type Settings = Record<string, unknown>;

/** Returns a valid predictor, with some settings replaced. */
function predictor({ features, freshness, batch, ...other }: Record<string, unknown> = {}): Settings {
  return {
    model: './model.onnx',
    features: { sql: 'select customer_id as user_id, visits from customers', ...(features as Settings) },
    outputs: { score: 'float32' },
    freshness: { ...(freshness as Settings) },
    batch: { ...(batch as Settings) },
    ...other,
  };
}

async function problemsIn(value: unknown): Promise<string[]> {
  const error = await checkConfig(value, file).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return problemsOf(error).map(({ path, problem, remedy }) => `${path}: ${problem} → ${remedy}`);
}

const one = (settings: Settings) => ({ predictors: { churn: predictor(settings) } });

test('a small config is resolved with its defaults and with durations in ms, and the model is read and hashed', async () => {
  const { predictors } = await checkConfig(
    { predictors: { churn: { ...predictor(), freshness: undefined, batch: undefined } } },
    file,
  );
  expect(predictors[0]).toMatchObject({
    name: 'churn',
    model: {
      path: join(folder, 'model.onnx'),
      sha256: '9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4',
    },
    features: { sql: 'select customer_id as user_id, visits from customers', asOf: null, overlayForMs: null },
    inputs: null,
    outputs: [{ name: 'score', from: 'score', type: 'float32', index: null, width: null }],
    policy: {
      freshness: {
        maxAgeMs: null,
        live: true,
        liveTimeoutMs: 50,
        onLiveFailure: 'stale',
        unverified: true,
        default: null,
        events: ['*'],
      },
      batch: { schedule: null, chunkSize: 10_000, minCoverage: 0.9 },
    },
  });
  expect(predictors[0]?.model.bytes.toString()).toBe('model');
});

test('every given setting is kept', async () => {
  const { predictors } = await checkConfig(
    one({
      features: { overlayFor: '1d' },
      inputs: { x: { type: 'float32', columns: ['visits'] } },
      outputs: {
        score: { from: 'probabilities', type: 'float32', index: 1 },
        classes: { from: 'p', type: 'int64', width: 2 },
      },
      freshness: {
        maxAge: '36h',
        liveTimeout: '80ms',
        onLiveFailure: 'default',
        unverified: false,
        default: { score: 0.5, classes: [1, 2] },
        events: ['order.*', 'visit'],
      },
      batch: { schedule: '0 2 * * *', chunkSize: 100, minCoverage: 0 },
    }),
    file,
  );
  expect(predictors[0]).toMatchObject({
    features: { overlayForMs: 86_400_000 },
    inputs: [{ name: 'x', type: 'float32', columns: ['visits'] }],
    outputs: [
      { name: 'score', from: 'probabilities', index: 1, width: null },
      { name: 'classes', from: 'p', type: 'int64', index: null, width: 2 },
    ],
    policy: {
      freshness: {
        maxAgeMs: 129_600_000,
        liveTimeoutMs: 80,
        onLiveFailure: 'default',
        unverified: false,
        default: { score: 0.5, classes: [1, 2] },
        events: ['order.*', 'visit'],
      },
      batch: { schedule: '0 2 * * *', chunkSize: 100, minCoverage: 0 },
    },
  });
});

test('changed users have a separate schedule, and scheduled runs have a budget', async () => {
  const batch = { schedule: { everyone: '0 3 * * 0', changed: '0 * * * *' }, budget: { cpuMinutes: 30 } };
  const { predictors } = await checkConfig(one({ batch }), file);
  expect(predictors[0]?.policy.batch).toEqual({
    ...{ schedule: '0 3 * * 0', changedSchedule: '0 * * * *', budget: { cpuMinutes: 30 } },
    ...{ chunkSize: 10_000, minCoverage: 0.9 },
  });
});

test.each<[string, unknown, string]>([
  ['no object', 5, ': is 5, not an object with predictors → write'],
  ['no predictors', {}, 'predictors: is missing → write an object of predictors'],
  ['empty predictors', { predictors: {} }, 'predictors: is empty, so there would be nothing to serve → add'],
  [
    'a predictor that is not an object',
    { predictors: { churn: 'x' } },
    'predictors.churn: is "x", not an object of settings',
  ],
  [
    'an unknown section',
    { predictors: {}, redis: 'x' },
    'redis: is not a setting of Tandem → remove it; the settings here are predictors',
  ],
  [
    'a bad name',
    { predictors: { Churn: predictor() } },
    'predictors.Churn: "Churn" is not a valid name for a predictor → start with a lower-case',
  ],
  ['a name with a space', { predictors: { 'a b': predictor() } }, 'predictors["a b"]: "a b" is not a valid name'],
  ['a name of 64 letters', { predictors: { ['a'.repeat(64)]: predictor() } }, 'is not a valid name for a predictor'],
])('%s is refused', async (_, value, message) => {
  expect((await problemsIn(value)).join('\n')).toContain(message);
});

test.each<[string, Settings, string]>([
  [
    'unknown setting',
    { freshness: { maxage: '1h' } },
    'churn.freshness.maxage: is not a setting of Tandem → write maxAge',
  ],
  [
    'unknown setting of an output',
    { outputs: { s: { from: 's', type: 'float32', idx: 1 } } },
    'outputs.s.idx: is not a setting of Tandem',
  ],
  ['missing model', { model: undefined }, 'churn.model: is missing → write a name in quotes'],
  ['model does not exist', { model: './none.onnx' }, 'churn.model: there is no file'],
  ['model is empty', { model: 'empty.onnx' }, 'empty.onnx is empty → export the model again'],
  ['model is a folder', { model: 'folder.onnx' }, 'folder.onnx is not a file → name the ONNX file itself'],
  [
    'model is huge',
    { model: 'huge.onnx' },
    'huge.onnx has 256.1 MiB, more than the 256 MiB that a model file may have',
  ],
  ['semicolon', { features: { sql: 'select 1;' } }, 'features.sql: contains a semicolon → leave it out'],
  [
    'parameter',
    { features: { sql: 'select $1' } },
    'features.sql: contains the parameter $1 → write the query for all users',
  ],
  [
    'asOf and overlayFor',
    { features: { asOf: 'at', overlayFor: '1h' } },
    'features.overlayFor: has no effect with asOf',
  ],
  [
    'bad overlayFor',
    { features: { overlayFor: '1 hour' } },
    'features.overlayFor: "1 hour" is not a duration → write a duration',
  ],
  ['empty inputs', { inputs: {} }, 'churn.inputs: is empty → remove it'],
  ['input without columns', { inputs: { x: { type: 'float32', columns: [] } } }, 'inputs.x.columns: is empty'],
  [
    'empty outputs',
    { outputs: {} },
    'churn.outputs: is empty, so the prediction would have no field → name at least one output',
  ],
  ['unknown type', { outputs: { s: 'float3' } }, 'outputs.s: is "float3", not one of float16, float32'],
  ['misspelt type', { outputs: { s: 'flaot32' } }, "write 'float32'"],
  [
    'output of an invalid form',
    { outputs: { s: 7 } },
    'outputs.s: is 7, not a type, or { from, type, index?, width? }',
  ],
  [
    'bad index',
    { outputs: { s: { from: 's', type: 'float32', index: -1 } } },
    'outputs.s.index: is -1, not a whole number from 0',
  ],
  [
    'bad width',
    { outputs: { s: { from: 's', type: 'float32', width: 0 } } },
    'outputs.s.width: is 0, not a whole number from 1',
  ],
  ['wrong type', { freshness: { live: 'no' } }, 'freshness.live: is "no", not true or false → write true or false'],
  ['number as duration', { freshness: { maxAge: 36 } }, 'freshness.maxAge: is 36, not a duration in quotes'],
  ['duration without unit', { freshness: { liveTimeout: '50' } }, 'freshness.liveTimeout: "50" is not a duration'],
  [
    'long liveTimeout',
    { freshness: { liveTimeout: '31s' } },
    'freshness.liveTimeout: 31s is longer than 30s → at most 30s',
  ],
  [
    'misspelt ladder',
    { freshness: { onLiveFailure: 'stael' } },
    "freshness.onLiveFailure: is \"stael\", not 'stale', 'default' or 'error' → write 'stale'",
  ],
  [
    'liveTimeout without live',
    { freshness: { live: false, liveTimeout: '5ms' } },
    'freshness.liveTimeout: has no effect with live: false',
  ],
  [
    'default after error',
    { freshness: { onLiveFailure: 'error', default: { score: 1 } } },
    "freshness.default: has no effect with onLiveFailure: 'error'",
  ],
  [
    'no default to serve',
    { freshness: { onLiveFailure: 'default' } },
    "freshness.onLiveFailure: is 'default', but no default is declared",
  ],
  [
    'default lacks a field',
    { freshness: { default: {} } },
    'freshness.default.score: is missing, but the predictor has this output → add a value',
  ],
  [
    'default has another field',
    { freshness: { default: { score: 1, x: 1 } } },
    'freshness.default.x: is not an output of this predictor → remove it; the outputs are score',
  ],
  [
    'default is not finite',
    { freshness: { default: { score: 1 / 0 } } },
    'default.score: is Infinity, but the output is of type float32 → write a finite number',
  ],
  [
    'default overflows',
    { freshness: { default: { score: 1e39 } } },
    'default.score: is 1e+39, but the output is of type float32',
  ],
  [
    'default of another type',
    { freshness: { default: { score: 'high' } } },
    'default.score: is "high", but the output is of type float32',
  ],
  [
    'default for a vector',
    { outputs: { v: { from: 'v', type: 'int8', width: 2 } }, freshness: { default: { v: [1] } } },
    'default.v: is an array of 1, not an array of 2',
  ],
  [
    'default in a vector',
    { outputs: { v: { from: 'v', type: 'int8', width: 2 } }, freshness: { default: { v: [1, 128] } } },
    'default.v[1]: is 128, but the output is of type int8 → write a whole number from -128 to 127',
  ],
  [
    'default is not an object',
    { freshness: { default: 0.2 } },
    'freshness.default: is 0.2, not an object with a value for each output',
  ],
  ['bad event pattern', { freshness: { events: ['order placed'] } }, 'freshness.events[0]: has white space'],
  [
    'event pattern without effect',
    { freshness: { events: ['order.*', 'order.paid'] } },
    "freshness.events[1]: 'order.paid' has no effect: 'order.*' includes it → remove it",
  ],
  [
    'event pattern twice',
    { freshness: { events: ['a', 'a'] } },
    "freshness.events[1]: 'a' is listed twice → remove it",
  ],
  [
    'events as text',
    { freshness: { events: 'order.*' } },
    'freshness.events: is "order.*", not an array of event types',
  ],
  [
    'bad cron of changed users',
    { batch: { schedule: { everyone: '0 3 * * 0', changed: '0 * * *' } } },
    'batch.schedule',
  ],
  ['one schedule of two', { batch: { schedule: { everyone: '0 3 * * 0' } } }, 'batch.schedule'],
  [
    'the same schedule twice',
    { batch: { schedule: { everyone: '0 3 * * 0', changed: '0 3 * * 0' } } },
    'batch.schedule.changed: has no effect: the schedule of everyone scores all users at the same times',
  ],
  [
    'changed users where nothing changes users',
    { freshness: { events: [] }, batch: { schedule: { everyone: '0 3 * * 0', changed: '0 * * * *' } } },
    'batch.schedule.changed: has no effect with events: []',
  ],
  [
    'a budget without a schedule',
    { batch: { budget: { share: 0.5 } } },
    'batch.budget: has no effect without a schedule',
  ],
  ['a share of 0', { batch: { schedule: '0 2 * * *', budget: { share: 0 } } }, 'batch.budget'],
  ['a share and minutes', { batch: { schedule: '0 2 * * *', budget: { share: 0.1, cpuMinutes: 1 } } }, 'batch.budget'],
  [
    'maxAge shorter than the interval of everyone',
    { freshness: { maxAge: '1d' }, batch: { schedule: { everyone: '0 3 * * 0', changed: '0 * * * *' } } },
    "freshness.maxAge: 1d is shorter than the schedule's longest interval (7d)",
  ],
  [
    'bad cron',
    { batch: { schedule: '0 25 * * *' } },
    'batch.schedule: "0 25 * * *" is not a valid schedule: constraint error',
  ],
  [
    'maxAge shorter than the interval',
    { freshness: { maxAge: '12h' }, batch: { schedule: '0 2 * * *' } },
    "freshness.maxAge: 12h is shorter than the schedule's longest interval (1d)",
  ],
  ['chunkSize 0', { batch: { chunkSize: 0 } }, 'batch.chunkSize: is 0, not a whole number from 1 to 50000'],
  ['chunkSize 50001', { batch: { chunkSize: 50_001 } }, 'batch.chunkSize: is 50001, not a whole number'],
  ['chunkSize 1.5', { batch: { chunkSize: 1.5 } }, 'batch.chunkSize: is 1.5, not a whole number'],
  ['minCoverage 2', { batch: { minCoverage: 2 } }, 'batch.minCoverage: is 2, not a number from 0 to 1'],
])('%s is refused with path and remedy', async (_, settings, message) => {
  const problems = await problemsIn(one(settings));
  expect(problems.join('\n')).toContain(message);
  expect(problems).toHaveLength(1);
});

test('with live: false, onLiveFailure still defines the fallback', async () => {
  expect(await problemsIn(one({ freshness: { live: false, onLiveFailure: 'error' } }))).toEqual([]);
});

test('all problems of all predictors are reported at once: invalid forms and conflicts', async () => {
  const problems = await problemsIn({
    predictors: {
      a: predictor({ freshness: { maxAge: 5, live: false, liveTimeout: '5ms' }, batch: { chunkSize: 'x' } }),
      b: predictor({ model: 'none.onnx', features: { asOf: 'at', overlayFor: '1h' } }),
    },
  });
  expect(problems.map((problem) => problem.split(':')[0])).toEqual([
    'predictors.a.freshness.maxAge',
    'predictors.a.batch.chunkSize',
    'predictors.a.freshness.liveTimeout',
    'predictors.b.features.overlayFor',
    'predictors.b.model',
  ]);
});

test('the error is one text, with file and remedy of each problem', async () => {
  await expect(checkConfig(one({ batch: { chunkSize: 0 } }), '/app/tandem.config.ts')).rejects.toThrow(
    'The configuration has 2 problems:\n' +
      '  /app/tandem.config.ts: predictors.churn.batch.chunkSize: is 0, not a whole number from 1 to 50000\n' +
      '    → write a whole number from 1 to 50000\n' +
      '  /app/tandem.config.ts: predictors.churn.model: there is no file /app/model.onnx\n' +
      '    → correct the path; it is relative to the config file',
  );
});
