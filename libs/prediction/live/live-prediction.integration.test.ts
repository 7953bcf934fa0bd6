import type { Certificate } from '@tandem/freshness/certificate';
import { callerGone, TandemError } from '@tandem/freshness/errors';
import {
  CALLER_GONE,
  type LiveOutcome,
  type LivePredictor,
  type LiveReader,
  type LiveRequest,
  NO_FEATURES,
} from '@tandem/freshness/live-predictor';
import type { OverlayEntry } from '@tandem/freshness/stored-prediction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGate, createPredictionWorld, PREDICTOR, type PredictionWorld } from '../prediction-world.fixture.ts';
import { type Scorer, UNBOUNDED } from '../scoring/scoring.ts';
import { createLivePredictor, type LivePredictorDependencies } from './live-prediction.ts';

let world: PredictionWorld;
let certificate: Certificate;
let kept: OverlayEntry[];

beforeAll(async () => {
  world = await createPredictionWorld({ users: 60 });
  certificate = await world.authority.certify([]);
});
afterAll(() => world?.close());

function createLive(parts: Partial<LivePredictorDependencies> = {}) {
  kept = [];
  return createLivePredictor({
    features: world.features,
    scorer: world.inference,
    overlay: world.overlay,
    keepLater: (entries) => void kept.push(...entries),
    keepNow: async (entries) => void kept.push(...entries),
    ...parts,
  });
}

async function requestFor(
  readers: readonly (Partial<LiveReader> & { readonly userId: string })[],
  changes: Partial<LiveRequest> = {},
): Promise<LiveRequest> {
  const assignment = certificate.assignments(PREDICTOR)?.stable;
  if (!assignment) throw new Error('nothing is assigned');
  return {
    version: await world.registry.modelVersion(assignment.modelVersionId),
    assignment,
    history: certificate.history,
    timeoutMs: 10_000,
    enabled: true,
    readers: readers.map((reader) => ({ minVersion: 0, fresh: false, ...reader })),
    ...changes,
  };
}

/** Features that record their statements. The first statement waits at the gate after it was sent. */
function gatedFeatures() {
  const gate = createGate();
  const statements: string[][] = [];
  const features: LivePredictorDependencies['features'] = {
    ...world.features,
    async readUsers(version, userIds) {
      const isFirst = statements.push([...userIds]) === 1;
      const read = await world.features.readUsers(version, userIds);
      if (isFirst) await gate.pass();
      return read;
    },
  };
  return { gate, statements, features };
}

const labelOf = (outcome: unknown) => (outcome as { contextVersion?: number } | undefined)?.contextVersion;

describe('readers of one user', () => {
  it('share one statement and one inference if they arrive before the statement is sent', async () => {
    const { gate, statements, features } = gatedFeatures();
    gate.open();
    const live = createLive({ features });
    const request = await requestFor([{ userId: '1' }]);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => live.predict(request)));
    expect(statements).toEqual([['1']]);
    for (const outcome of outcomes) expect(outcome.get('1')).toMatchObject({ kind: 'predicted', kept: true });
    expect(kept).toHaveLength(1);
  });

  it('share it even if they arrive later, if its label is at least their own version', async () => {
    const { gate, statements, features } = gatedFeatures();
    const live = createLive({ features });
    const first = live.predict(await requestFor([{ userId: '2' }]));
    await gate.arrived;
    const second = live.predict(await requestFor([{ userId: '2', minVersion: 0 }]));
    gate.open();
    expect((await second).get('2')).toEqual((await first).get('2'));
    expect(statements).toHaveLength(1);
  });

  it('get another inference if their own version is newer than its label', async () => {
    const { gate, statements, features } = gatedFeatures();
    const live = createLive({ features });
    const first = live.predict(await requestFor([{ userId: '3' }]));
    await gate.arrived;
    await world.change('3');
    const followers = [1, 2, 3].map(async () => live.predict(await requestFor([{ userId: '3', minVersion: 1 }])));
    gate.open();
    expect(labelOf((await first).get('3'))).toBe(0);
    for (const follower of await Promise.all(followers)) expect(labelOf(follower.get('3'))).toBe(1);
    expect(statements).toEqual([['3'], ['3']]);
  });

  it('never join a statement that is already sent if they demand a new inference', async () => {
    const { gate, statements, features } = gatedFeatures();
    const live = createLive({ features });
    const first = live.predict(await requestFor([{ userId: '4' }]));
    await gate.arrived;
    const demanding = live.predict(await requestFor([{ userId: '4', fresh: true }]));
    expect((await demanding).get('4')).toMatchObject({ kind: 'predicted' });
    expect(statements).toHaveLength(2);
    gate.open();
    await first;
  });

  it('share nothing if history, floor or model version differ', async () => {
    const { gate, statements, features } = gatedFeatures();
    gate.open();
    const live = createLive({ features });
    const request = await requestFor([{ userId: '5' }]);
    const higher = { ...request, assignment: { ...request.assignment, overlayFloor: 7 } };
    await Promise.all([live.predict(request), live.predict(higher)]);
    expect(statements).toEqual([['5'], ['5']]);
    expect(kept.map(({ overlayFloor }) => overlayFloor).sort()).toEqual([request.assignment.overlayFloor, 7]);
  });
});

describe('users of one statement', () => {
  it('are answered without waiting for the rows of others if they have no row to score', async () => {
    const gate = createGate();
    const scorer: Scorer = {
      score: async (request) => {
        await gate.pass();
        return world.inference.score(request);
      },
    };
    const live = createLive({ scorer });
    const scored = live.predict(await requestFor([{ userId: '12' }]));
    const missing = live.predict(await requestFor([{ userId: '9999' }]));
    expect((await missing).get('9999')).toEqual(NO_FEATURES);
    gate.open();
    expect((await scored).get('12')).toMatchObject({ kind: 'predicted' });
  });

  it('are answered and stored without waiting for the write of demanded answers of others', async () => {
    const { gate, statements, features } = gatedFeatures();
    const written = createGate();
    const live = createLive({ features, keepNow: () => written.pass() });
    const sent = live.predict(await requestFor([{ userId: '39' }]));
    await gate.arrived;
    const demanding = live.predict(await requestFor([{ userId: '40', demanded: true }]));
    const plain = live.predict(await requestFor([{ userId: '41' }]));
    gate.open();
    await sent;
    // The write ends only afterwards: a plain reader that waits for it sees it fail at half of its time, and keeps nothing.
    expect((await plain).get('41')).toMatchObject({ kind: 'predicted', kept: true });
    written.open();
    expect((await demanding).get('40')).toMatchObject({ kind: 'predicted', kept: true });
    expect(statements).toEqual([['39'], ['40', '41']]);
  });

  it('free their room before the readers that follow them ask for it', async () => {
    const { gate, statements, features } = gatedFeatures();
    const live = createLive({ features, loadShedding: { ...UNBOUNDED, room: () => 1 } });
    const first = live.predict(await requestFor([{ userId: '9999' }]));
    await gate.arrived;
    const follower = live.predict(await requestFor([{ userId: '9999' }]));
    gate.open();
    expect((await first).get('9999')).toEqual(NO_FEATURES);
    expect((await follower).get('9999')).toEqual(NO_FEATURES);
    expect(statements).toHaveLength(2);
  });

  it('each get their own outcome: predicted, poison, without a row, erased', async () => {
    await world.change('10', 10);
    await world.erase('11');
    await world.erase('9998');
    const live = createLive();
    const outcomes = await live.predict(
      await requestFor(['8', '9', '10', '11', '9998', '9999'].map((userId) => ({ userId }))),
    );
    expect([...outcomes].map(([userId, { kind }]) => [userId, kind])).toEqual([
      ['8', 'predicted'],
      ['9', 'predicted'],
      ['10', 'failed'],
      ['11', 'erased'],
      // An erased user without a row counts as unknown here. The reader's certificate prevents a stale answer.
      ['9998', 'no_features'],
      ['9999', 'no_features'],
    ]);
    expect(outcomes.get('10')).toMatchObject({ reason: 'live_failed' });
    expect(kept.map(({ userId }) => userId).sort()).toEqual(['8', '9']);
  });

  it('with features that the model does not accept fail with the names of the features; the others are predicted', async () => {
    await world.pool.query('update counts set changes = null where user_id = 14');
    const outcomes = await createLive().predict(await requestFor([{ userId: '14' }, { userId: '15' }]));
    expect(outcomes.get('14')).toMatchObject({ kind: 'failed', reason: 'features_unusable', features: ['changes'] });
    expect(outcomes.get('15')).toMatchObject({ kind: 'predicted' });
    await world.pool.query('update counts set changes = 0 where user_id = 14');
  });

  it('are stored under the label that was read with their features, not the requested label', async () => {
    await world.change('12');
    await world.change('12');
    const outcomes = await createLive().predict(await requestFor([{ userId: '12' }]));
    expect(labelOf(outcomes.get('12'))).toBe(2);
    expect(kept).toMatchObject([{ userId: '12', contextVersion: 2, source: 'live', history: certificate.history }]);
  });

  it('all fail if the history has changed since their certificate, and nothing is kept', async () => {
    const live = createLive();
    const outcomes = await live.predict(await requestFor([{ userId: '13' }], { history: 'f'.repeat(16) }));
    expect(outcomes.get('13')).toMatchObject({ kind: 'failed', reason: 'live_failed' });
    expect(kept).toEqual([]);
  });
});

describe('a deadline', () => {
  it('ends only the wait of its readers: other readers of the line are still answered', async () => {
    const { gate, features } = gatedFeatures();
    const live = createLive({ features });
    const outcomes = await live.predict(await requestFor([{ userId: '20' }, { userId: '21' }], { timeoutMs: 20 }));
    expect([...outcomes.values()]).toMatchObject([{ reason: 'live_timeout' }, { reason: 'live_timeout' }]);
    const patient = live.predict(await requestFor([{ userId: '22' }]));
    gate.open();
    expect((await patient).get('22')).toMatchObject({ kind: 'predicted' });
  });

  it('that passed before the statement could be sent costs no statement', async () => {
    const { gate, statements, features } = gatedFeatures();
    const live = createLive({ features, maxStatements: 1 });
    const first = live.predict(await requestFor([{ userId: '23' }]));
    await gate.arrived;
    const late = await live.predict(await requestFor([{ userId: '24' }], { timeoutMs: 10 }));
    expect(late.get('24')).toMatchObject({ kind: 'failed', reason: 'live_timeout' });
    // A timer may fire slightly early on the other clock.
    const over = performance.now() + 5;
    await expect.poll(() => performance.now(), { interval: 1 }).toBeGreaterThan(over);
    gate.open();
    await first;
    await live.predict(await requestFor([{ userId: '25' }]));
    expect(statements).toEqual([['23'], ['25']]);
  });

  it('ends when the caller disconnects: its users cost no statement unless other readers wait for them', async () => {
    const { gate, statements, features } = gatedFeatures();
    const answered: [string, LiveOutcome][] = [];
    const onAnswered = (_: unknown, outcomes: ReadonlyMap<string, LiveOutcome>) => void answered.push(...outcomes);
    const live = createLive({ features, maxStatements: 1, onAnswered });
    const first = live.predict(await requestFor([{ userId: '26' }]));
    await gate.arrived;
    const gone = Promise.withResolvers<void>();
    const onGone = (tell: () => void) => void gone.promise.then(tell);
    const leaving = live.predict(await requestFor([{ userId: '27' }, { userId: '28' }], { onGone }));
    const staying = live.predict(await requestFor([{ userId: '28' }]));
    gone.resolve();
    expect([...(await leaving).values()]).toEqual([CALLER_GONE, CALLER_GONE]);
    gate.open();
    await first;
    expect((await staying).get('28')).toMatchObject({ kind: 'predicted' });
    expect(statements).toEqual([['26'], ['28']]);
    const predicted = expect.objectContaining({ kind: 'predicted' });
    expect(answered).toEqual([
      ['27', CALLER_GONE],
      ['28', CALLER_GONE],
      ['26', predicted],
      ['28', predicted],
    ]);
  });

  it('takes no room and no statement if its caller has already disconnected', async () => {
    const { gate, statements, features } = gatedFeatures();
    gate.open();
    const live = createLive({ features, loadShedding: { room: () => 1 } });
    const leaving = live.predict(await requestFor([{ userId: '29' }], { onGone: (tell) => tell() }));
    const staying = live.predict(await requestFor([{ userId: '39' }]));
    expect((await leaving).get('29')).toBe(CALLER_GONE);
    expect((await staying).get('39')).toMatchObject({ kind: 'predicted' });
    expect(statements).toEqual([['39']]);
  });

  it.each([
    [true, '27', CALLER_GONE],
    [false, '28', { kind: 'failed', reason: 'live_timeout', detail: 'no answer within 20 ms' }],
  ])('of the caller itself (%s) is not a failure of the model', async (isCallersTime, userId, expected) => {
    const { gate, features } = gatedFeatures();
    const live = createLive({ features });
    const request = await requestFor([{ userId }], { timeoutMs: 20, isCallersTime });
    expect((await live.predict(request)).get(userId)).toEqual(expected);
    gate.open();
  });

  it.each([false, true])(
    'of the caller that ends the run of its rows (%s) is not a failure of the model',
    async (hasRows) => {
      const scorer: Scorer = { score: () => Promise.reject(new TandemError('live_timeout', 'late')) };
      const rows = hasRows ? [{ sent: {}, values: [] }] : undefined;
      const request = await requestFor([{ userId: '40', fresh: true, rows }], { isCallersTime: true });
      expect((await createLive({ scorer }).predict(request)).get('40')).toBe(CALLER_GONE);
    },
  );

  it('is not used up by Redis: a computed answer is returned even if it was not kept', async () => {
    const never = { putEach: () => new Promise<never>(() => undefined) };
    const live = createLive({ overlay: never });
    const outcomes = await live.predict(await requestFor([{ userId: '26' }], { timeoutMs: 6_000 }));
    expect(outcomes.get('26')).toMatchObject({ kind: 'predicted', kept: false });
    expect(kept).toHaveLength(1);
  });
});

/** A scorer that runs nothing before it is released. Like the pool, it rejects a request if its caller disconnects. */
function heldScorer() {
  const released = Promise.withResolvers<void>();
  /** The users of each request, and of the requests that were removed because the caller disconnected. */
  const [asked, removed]: [string[], string[]] = [[], []];
  const scorer: Scorer = {
    score({ onGone, ...request }) {
      const users = request.rows
        .map((row) => request.batch.userIds[row] ?? 'a requested row')
        .sort()
        .join();
      asked.push(users);
      const gone = new Promise<never>((_, reject) => {
        onGone?.(() => {
          removed.push(users);
          reject(callerGone());
        });
      });
      return Promise.race([gone, released.promise.then(() => world.inference.score(request))]);
    },
  };
  return { scorer, asked, removed, release: released.resolve };
}

describe('a caller that disconnects after the features were read', () => {
  async function readTogether(live: LivePredictor, gate: ReturnType<typeof createGate>, requests: LiveRequest[]) {
    const first = live.predict(await requestFor([{ userId: '59' }]));
    await gate.arrived;
    const reads = requests.map((request) => live.predict(request));
    gate.open();
    return { first, reads };
  }

  it.each([false, true])(
    'removes its rows from the scorer unless another reader follows one (%s)',
    async (isFollowed) => {
      const { gate, features } = gatedFeatures();
      const { scorer, asked, removed, release } = heldScorer();
      const live = createLive({ features, scorer, maxStatements: 1 });
      let leave = () => {};
      const onGone = (tell: () => void) => {
        leave = tell;
      };
      const { first, reads } = await readTogether(live, gate, [
        await requestFor([{ userId: '41' }, { userId: '42' }, { userId: '43' }], { onGone }),
        await requestFor([{ userId: '43' }, { userId: '44' }]),
      ]);
      await expect.poll(() => asked.toSorted()).toEqual(['41,42', '43,44', '59']);
      const follower = isFollowed ? live.predict(await requestFor([{ userId: '42' }])) : undefined;
      leave();
      expect([...((await reads[0]) ?? [])].map(([, outcome]) => outcome)).toEqual([
        CALLER_GONE,
        CALLER_GONE,
        CALLER_GONE,
      ]);
      expect(removed).toEqual(isFollowed ? [] : ['41,42']);
      release();
      for (const read of [first, reads[1], follower]) {
        for (const outcome of (await read)?.values() ?? []) expect(outcome).toMatchObject({ kind: 'predicted' });
      }
      expect(asked.toSorted()).toEqual(['41,42', '43,44', '59']);
    },
  );

  it('removes its rows of request features from the scorer', async () => {
    const { gate, features } = gatedFeatures();
    const { scorer, asked, removed, release } = heldScorer();
    const live = createLive({ features, scorer, maxStatements: 1 });
    let leave = () => {};
    const onGone = (tell: () => void) => {
      leave = tell;
    };
    const rows = Array.from({ length: 2 }, () => ({ sent: {}, values: [] }));
    const { first, reads } = await readTogether(live, gate, [
      await requestFor([{ userId: '45', fresh: true, rows }], { onGone }),
      await requestFor([{ userId: '46' }]),
    ]);
    await expect.poll(() => asked).toHaveLength(3);
    leave();
    expect((await reads[0])?.get('45')).toBe(CALLER_GONE);
    expect(removed).toEqual([asked.find((users) => users !== '59' && users !== '46')]);
    release();
    await first;
    expect((await reads[1])?.get('46')).toMatchObject({ kind: 'predicted' });
  });
});

describe('live inference', () => {
  it('answers even if nothing could be kept', async () => {
    const live = createLive({ overlay: { putEach: () => Promise.reject(new Error('Redis is away')) } });
    const outcomes = await live.predict(await requestFor([{ userId: '30' }]));
    expect(outcomes.get('30')).toMatchObject({ kind: 'predicted', kept: false });
  });

  it('never rejects: unreadable features are an outcome', async () => {
    const live = createLive({
      features: { ...world.features, readUsers: () => Promise.reject(new Error('the query fails')) },
    });
    const outcomes = await live.predict(await requestFor([{ userId: '31' }]));
    expect(outcomes.get('31')).toEqual({ kind: 'failed', reason: 'live_failed', detail: 'the query fails' });
  });

  it('reports a timeout, not a model failure, if the database did not answer', async () => {
    const away = new TandemError('unavailable', 'The database does not answer at the moment.');
    const live = createLive({ features: { ...world.features, readUsers: () => Promise.reject(away) } });
    const outcomes = await live.predict(await requestFor([{ userId: '34' }]));
    expect(outcomes.get('34')).toMatchObject({
      kind: 'failed',
      reason: 'live_timeout',
      detail: 'the features could not be read in time: The database does not answer at the moment.',
    });
  });

  it('reports a timeout for users that had no time left after the failure of others', async () => {
    await world.change('36', 10);
    let asked = 0;
    // The model refuses both rows together; then hardly any time is left to run each row alone.
    const scorer: Scorer = {
      score: (request) => world.inference.score(asked++ === 0 ? request : { ...request, timeoutMs: 0.001 }),
    };
    const outcomes = await createLive({ scorer }).predict(await requestFor([{ userId: '35' }, { userId: '36' }]));
    expect([...outcomes.values()]).toMatchObject([{ reason: 'live_timeout' }, { reason: 'live_timeout' }]);
    expect(kept).toEqual([]);
  });

  it('of more rows than there is room for takes no room from readers with longer time limits', async () => {
    const { gate, features } = gatedFeatures();
    const loadShedding = { room: (_: unknown, timeoutMs: number) => (timeoutMs > 15_000 ? 100 : 20) };
    const live = createLive({ features, loadShedding });
    const rows = Array.from({ length: 500 }, () => ({ sent: {}, values: [] }));
    const large = live.predict(await requestFor([{ userId: '37', fresh: true, rows }]));
    await gate.arrived;
    const small = live.predict(await requestFor([{ userId: '38' }], { timeoutMs: 20_000 }));
    gate.open();
    expect((await small).get('38')).toMatchObject({ kind: 'predicted' });
    expect((await large).get('37')?.kind).toBe('rows');
  });

  it('does nothing if it is switched off', async () => {
    const { statements, features } = gatedFeatures();
    const live = createLive({ features });
    expect(await live.predict(await requestFor([{ userId: '32' }], { enabled: false }))).toEqual(new Map());
    expect(statements).toEqual([]);
  });

  it('still answers after more tables than it remembers', async () => {
    const live = createLive();
    const request = await requestFor([{ userId: '33' }]);
    for (let overlayFloor = 0; overlayFloor < 70; overlayFloor++) {
      const outcomes = await live.predict({ ...request, assignment: { ...request.assignment, overlayFloor } });
      expect(outcomes.get('33')).toMatchObject({ kind: 'predicted' });
    }
  });
});
