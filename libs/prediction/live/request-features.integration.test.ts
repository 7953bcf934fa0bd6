/**
 * Reads with request features on real stores and a real model that returns its inputs: `echo` is [changes, amount]. So
 * an answer shows its source: the user's features and the call's values.
 */
import { createHash } from 'node:crypto';
import type { Answer, ReadResult } from '@tandem/freshness/answer';
import { TandemError } from '@tandem/freshness/errors';
import type { FreshnessPolicy, ModelDefinition, RequestColumn } from '@tandem/freshness/predictor';
import { PLAIN_READ, type ReadOptions, type RequestFeatures } from '@tandem/freshness/read-options';
import { adopt } from '@tandem/offline-store/adopt';
import { echoModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TokenBucket } from '../keys/token-bucket.ts';
import { createGate, createPredictionWorld, type PredictionWorld } from '../prediction-world.fixture.ts';
import type { ScoreRequest } from '../scoring/scoring.ts';

const MODEL = echoModel('float32', 2);
const NAME = 'echo';
const AMOUNT: RequestColumn = { name: 'amount', kind: 'number', min: 0, default: 40 };
const FRESHNESS: FreshnessPolicy = {
  ...{ maxAgeMs: null, live: true, liveTimeoutMs: 10_000, onLiveFailure: 'stale', unverified: true },
  ...{ default: null, events: ['*'] },
};

let world: PredictionWorld;
/** The users of each feature statement, and the users that were stored in the overlay. */
let statements: string[][];
let stored: string[];
let fails: boolean;
let whileScoring: (request: ScoreRequest) => Promise<void>;
let meanwhile: () => Promise<void>;

beforeAll(async () => {
  world = await createPredictionWorld({ users: 60 });
});
beforeEach(async () => {
  await adoptEcho();
  [statements, stored, fails, meanwhile] = [[], [], false, async () => {}];
  whileScoring = async () => {};
});
afterAll(() => world?.close());

async function adoptEcho(request: readonly RequestColumn[] = [AMOUNT], freshness: Partial<FreshnessPolicy> = {}) {
  const definition: ModelDefinition = {
    predictor: NAME,
    artifactHash: createHash('sha256').update(MODEL).digest('hex'),
    keyType: 'int8',
    query: {
      sql: 'select user_id, changes from counts',
      columns: [{ name: 'changes', kind: 'integer' }],
      ...{ asOf: null, overlayForMs: null },
    },
    request,
    inputs: [{ name: 'features', type: 'float32', columns: ['changes', 'amount'] }],
    outputs: [{ name: 'echo', output: 'score', type: 'float32', width: 2, index: 0 }],
  };
  const policy = {
    freshness: { ...FRESHNESS, ...freshness },
    batch: { schedule: null, chunkSize: 20, minCoverage: 0 },
  };
  await adopt(world.pool, { actor: 'test', predictors: [{ name: NAME, artifact: MODEL, policy, definition }] });
}

function createReader() {
  const { features, inference, overlay } = world;
  return world.createReader(
    {},
    {
      features: {
        ...features,
        async readUsers(version, userIds, certified) {
          statements.push([...userIds]);
          await meanwhile();
          return features.readUsers(version, userIds, certified);
        },
      },
      scorer: {
        async score(request) {
          await whileScoring(request);
          if (fails) throw new TandemError('live_failed', 'the model is away');
          return inference.score(request);
        },
      },
      overlay: {
        putEach(entries) {
          stored.push(...entries.map(({ userId }) => userId));
          return overlay.putEach(entries);
        },
      },
    },
  );
}

type Row = readonly [userId: string, features: RequestFeatures];

const read = (rows: readonly Row[], options: Partial<ReadOptions> = {}, reader = createReader()) =>
  reader(
    NAME,
    rows.map(([userId]) => userId),
    {
      ...PLAIN_READ,
      ...options,
      request: { rows: rows.map(([, features]) => features), at: (row) => `users[${row}]` },
    },
  );
const plain = (...userIds: string[]) => createReader()(NAME, userIds, PLAIN_READ);
const short = (results: readonly ReadResult[]) =>
  results.map((result) =>
    result instanceof TandemError ? result.code : `${result.source} ${result.reason} ${result.prediction.echo}`,
  );

describe('a read with request features', () => {
  it('is inferred for the call, each row from its own values; the user’s features are read once', async () => {
    await world.change('1', 3);
    const results = await read([
      ['1', { amount: 5 }],
      ['2', { amount: 6 }],
      ['1', { amount: 7 }],
      ['1', {}],
    ]);
    expect(short(results)).toEqual([
      'live requested 3,5',
      'live requested 0,6',
      'live requested 3,7',
      'live requested 3,40',
    ]);
    expect(statements).toEqual([['1', '2']]);
    expect(stored).toEqual([]);
    const [first] = results as Answer[];
    expect(first).toMatchObject({ kept: false, hit: false, contextVersion: 1, predictedFromContextVersion: 1 });
  });

  it('shares no predictions with reads without request features', async () => {
    expect(short(await read([['3', { amount: 5 }]]))).toEqual(['live requested 0,5']);
    expect(short(await plain('3'))).toEqual(['live missing 0,40']);
    expect(stored).toEqual(['3']);
    expect(short(await read([['3', { amount: 9 }]]))).toEqual(['live requested 0,9']);
    expect(short(await plain('3'))).toEqual(['live fresh 0,40']);
  });

  it('shares no flight with other reads, but shares their feature statement', async () => {
    const reader = createReader();
    // From here on the reader knows the assignment.
    await read([['60', {}]], {}, reader);
    statements = [];
    const gate = createGate();
    meanwhile = gate.pass;
    const reading = Promise.all([
      read([['4', { amount: 1 }]], {}, reader),
      reader(NAME, ['4'], { ...PLAIN_READ, noCache: true }),
      read([['4', { amount: 2 }]], {}, reader),
      reader(NAME, ['4'], { ...PLAIN_READ, noCache: true }),
      read([['5', { amount: 3 }]], {}, reader),
    ]);
    await gate.arrived;
    gate.open();
    expect((await reading).map(short)).toEqual([
      ['live requested 0,1'],
      ['live requested 0,40'],
      ['live requested 0,2'],
      ['live requested 0,40'],
      ['live requested 0,3'],
    ]);
    expect(statements).toEqual([['4', '5']]);
    expect(stored).toEqual(['4']);
  });

  it('with slow rows does not delay the other readers of its statement', async () => {
    const reader = createReader();
    await read([['60', {}]], {}, reader);
    const gate = createGate();
    whileScoring = async ({ rows, batch }) => (rows.some((row) => batch.sent?.has(row)) ? gate.pass() : undefined);
    const calling = read([['31', { amount: 666 }]], {}, reader);
    const other = reader(NAME, ['31'], { ...PLAIN_READ, noCache: true });
    await gate.arrived;
    expect(short(await other)).toEqual(['live requested 0,40']);
    gate.open();
    expect(short(await calling)).toEqual(['live requested 0,666']);
  });

  it('that fails is answered only from a stored prediction, as stale, or else with the error', async () => {
    await plain('6');
    fails = true;
    expect(short(await read([['6', { amount: 1 }]]))).toEqual(['stale live_failed 0,40']);
    expect(short(await read([['7', { amount: 1 }]]))).toEqual(['live_failed']);
    await adoptEcho([AMOUNT], { onLiveFailure: 'error' });
    expect(short(await read([['6', { amount: 1 }]]))).toEqual(['live_failed']);
  });

  it('is 504 with only-if-cached, and respects max-age when it fails', async () => {
    await plain('8');
    expect(short(await read([['8', { amount: 1 }]], { onlyIfCached: true }))).toEqual(['not_cached']);
    expect(short(await read([['8', { amount: 1 }]], { maxStale: Number.POSITIVE_INFINITY }))).toEqual([
      'live requested 0,1',
    ]);
    fails = true;
    expect(short(await read([['8', { amount: 1 }]], { maxAge: 0 }))).toEqual(['live_failed']);
    expect(short(await read([['8', { amount: 1 }]], { maxAge: 3_600 }))).toEqual(['stale live_failed 0,40']);
  });

  it('of an erased or unknown user is unknown_user in each row', async () => {
    await world.erase('9');
    const rows: Row[] = [
      ['9', { amount: 1 }],
      ['999', { amount: 1 }],
      ['9', { amount: 2 }],
      ['10', { amount: 1 }],
    ];
    expect(short(await read(rows))).toEqual(['unknown_user', 'unknown_user', 'unknown_user', 'live requested 0,1']);
    await world.readmit('9');
  });

  it('with values that the predictor does not accept is rejected as a whole, before any inference', async () => {
    await expect(
      read([
        ['11', { amount: 1 }],
        ['12', { amuont: 1 }],
      ]),
    ).rejects.toMatchObject({ code: 'invalid_input', field: 'users[1].features.amuont' });
    await expect(read([['11', { amount: -1 }]])).rejects.toMatchObject({ field: 'users[0].features.amount' });
    expect(statements).toEqual([]);
  });

  it('counts each row within the caller’s limit of inferences', async () => {
    const liveQuota = new TokenBucket(2, () => 0);
    const rows: Row[] = [
      ['13', { amount: 1 }],
      ['14', { amount: 2 }],
      ['14', { amount: 3 }],
    ];
    expect(short(await read(rows, { liveQuota }))).toEqual(['live requested 0,1', 'rate_limited', 'rate_limited']);
    expect(liveQuota.take(9)).toBe(1);
  });
});

it('a chunk of a run uses the defaults, whether it reads a range or named users', async () => {
  const assignment = (await world.authority.certify([])).assignments(NAME)?.stable;
  const version = await world.registry.modelVersion(assignment?.modelVersionId ?? '');
  const range = await world.features.readRange(version, { from: '1', to: '4' });
  const { batch: named } = await world.features.readNamed(version, ['2', '3']);
  expect([range, named].map(({ columns }) => columns.map(({ name }) => name))).toEqual([
    ['changes', 'amount'],
    ['changes', 'amount'],
  ]);
  expect([range, named].map(({ values }) => [...(values[1] ?? [])])).toEqual([
    [40, 40, 40],
    [40, 40],
  ]);
  expect([range.faults.size, named.faults.size]).toEqual([0, 0]);
});

describe('a predictor with a request feature without a default', () => {
  it('answers only reads that send the feature; no run computes it ahead of time', async () => {
    const { default: _default, ...required } = AMOUNT;
    await adoptEcho([required]);
    expect(short(await read([['20', { amount: 1 }]]))).toEqual(['live requested 0,1']);
    expect(short(await plain('20', '21'))).toEqual(['request_features_required', 'request_features_required']);
    await expect(read([['20', {}]])).rejects.toMatchObject({ field: 'users[0].features.amount' });
    const run = {
      predictor: NAME,
      scope: { kind: 'all' },
      reason: 'test',
      scheduleSlot: null,
      variant: 'stable',
    } as const;
    await expect(world.runs.create(run)).rejects.toMatchObject({ code: 'request_features_required' });
  });
});
