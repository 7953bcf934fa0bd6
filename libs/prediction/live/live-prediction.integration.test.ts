import type { Certificate } from '@tandem/freshness/certificate';
import { callerGone, TandemError } from '@tandem/freshness/errors';
import {
  CALLER_GONE,
  type LiveOutcome,
  type LivePredictor,
  type LiveReader,
  type LiveRequest,
} from '@tandem/freshness/live-predictor';
import type { OverlayEntry } from '@tandem/freshness/stored-prediction';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGate, createPredictionWorld, PREDICTOR, type PredictionWorld } from '../prediction-world.fixture.ts';
import type { Scorer } from '../scoring/scoring.ts';
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

/** Features that count their statements; the first waits at the gate after it was sent. */
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
  it('share one statement and one inference while it has not left', async () => {
    const { gate, statements, features } = gatedFeatures();
    gate.open();
    const live = createLive({ features });
    const request = await requestFor([{ userId: '1' }]);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => live.predict(request)));
    expect(statements).toEqual([['1']]);
    for (const outcome of outcomes) expect(outcome.get('1')).toMatchObject({ kind: 'predicted', kept: true });
    expect(kept).toHaveLength(1);
  });

  it('who come later share it too where its label is at least their own version', async () => {
    const { gate, statements, features } = gatedFeatures();
    const live = createLive({ features });
    const first = live.predict(await requestFor([{ userId: '2' }]));
    await gate.arrived;
    const second = live.predict(await requestFor([{ userId: '2', minVersion: 0 }]));
    gate.open();
    expect((await second).get('2')).toEqual((await first).get('2'));
    expect(statements).toHaveLength(1);
  });

  it('whose own version is newer than its label get one of their own', async () => {
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

  it('who demand an inference of now never join a statement that has left, whatever its label', async () => {
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

  it('in different tables (history, floor, model version) share nothing', async () => {
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
  it('each get what becomes of them: predicted, poison, without a row, erased', async () => {
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
      // A user without a row is unknown here; that an erased user gets no stale answer is up to the reader's
      // certificate.
      ['9998', 'no_features'],
      ['9999', 'no_features'],
    ]);
    expect(outcomes.get('10')).toMatchObject({ reason: 'live_failed' });
    expect(kept.map(({ userId }) => userId).sort()).toEqual(['8', '9']);
  });

  it('whose features the model does not take fail for that reason, by name, and the others are predicted', async () => {
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

  it('fail together where the history changed since they were certified: nothing is kept', async () => {
    const live = createLive();
    const outcomes = await live.predict(await requestFor([{ userId: '13' }], { history: 'f'.repeat(16) }));
    expect(outcomes.get('13')).toMatchObject({ kind: 'failed', reason: 'live_failed' });
    expect(kept).toEqual([]);
  });
});

describe('a deadline', () => {
  it('ends the wait of the reader alone: what comes later is kept for the next', async () => {
    const { gate, features } = gatedFeatures();
    const live = createLive({ features });
    const outcomes = await live.predict(await requestFor([{ userId: '20' }, { userId: '21' }], { timeoutMs: 20 }));
    expect([...outcomes.values()]).toMatchObject([{ reason: 'live_timeout' }, { reason: 'live_timeout' }]);
    const patient = live.predict(await requestFor([{ userId: '22' }]));
    gate.open();
    expect((await patient).get('22')).toMatchObject({ kind: 'predicted' });
  });

  it('that passed before the statement could leave costs no statement', async () => {
    const { gate, statements, features } = gatedFeatures();
    const live = createLive({ features, maxStatements: 1 });
    const first = live.predict(await requestFor([{ userId: '23' }]));
    await gate.arrived;
    const late = await live.predict(await requestFor([{ userId: '24' }], { timeoutMs: 10 }));
    expect(late.get('24')).toMatchObject({ kind: 'failed', reason: 'live_timeout' });
    // A timer may come a moment early by the other clock.
    const over = performance.now() + 5;
    await expect.poll(() => performance.now(), { interval: 1 }).toBeGreaterThan(over);
    gate.open();
    await first;
    await live.predict(await requestFor([{ userId: '25' }]));
    expect(statements).toEqual([['23'], ['25']]);
  });

  it('is over when the caller has gone: its users cost no statement, but for those that others wait for', async () => {
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

  it('takes no room and no statement when its caller has gone already', async () => {
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
  ])('of the caller itself (%s) is no failure of the model', async (isCallersTime, userId, expected) => {
    const { gate, features } = gatedFeatures();
    const live = createLive({ features });
    const request = await requestFor([{ userId }], { timeoutMs: 20, isCallersTime });
    expect((await live.predict(request)).get(userId)).toEqual(expected);
    gate.open();
  });

  it.each([false, true])(
    'of the caller that ends the run of its rows (%s) is no failure of the model',
    async (hasRows) => {
      const scorer: Scorer = { score: () => Promise.reject(new TandemError('live_timeout', 'late')) };
      const rows = hasRows ? [{ sent: {}, values: [] }] : undefined;
      const request = await requestFor([{ userId: '40', fresh: true, rows }], { isCallersTime: true });
      expect((await createLive({ scorer }).predict(request)).get('40')).toBe(CALLER_GONE);
    },
  );

  it('is not spent on Redis: an answer that is there is given, kept or not', async () => {
    const never = { putEach: () => new Promise<never>(() => undefined) };
    const live = createLive({ overlay: never });
    const outcomes = await live.predict(await requestFor([{ userId: '26' }], { timeoutMs: 500 }));
    expect(outcomes.get('26')).toMatchObject({ kind: 'predicted', kept: false });
    expect(kept).toHaveLength(1);
  });
});

/** A scorer that runs nothing before it is released. A request whose caller has gone is rejected, as the pool does. */
function heldScorer() {
  const released = Promise.withResolvers<void>();
  /** Users of each request, and of those that were told that their caller has gone. */
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

describe('a caller who goes after the features were read', () => {
  async function readTogether(live: LivePredictor, gate: ReturnType<typeof createGate>, requests: LiveRequest[]) {
    const first = live.predict(await requestFor([{ userId: '59' }]));
    await gate.arrived;
    const reads = requests.map((request) => live.predict(request));
    gate.open();
    return { first, reads };
  }

  it.each([false, true])(
    'takes its rows from the scorer unless another reader follows one (%s)',
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

  it('takes its rows of request features from the scorer', async () => {
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
  it('answers though nothing could be kept', async () => {
    const live = createLive({ overlay: { putEach: () => Promise.reject(new Error('Redis is away')) } });
    const outcomes = await live.predict(await requestFor([{ userId: '30' }]));
    expect(outcomes.get('30')).toMatchObject({ kind: 'predicted', kept: false });
  });

  it('never rejects: features that cannot be read are an outcome', async () => {
    const live = createLive({
      features: { ...world.features, readUsers: () => Promise.reject(new Error('the query fails')) },
    });
    const outcomes = await live.predict(await requestFor([{ userId: '31' }]));
    expect(outcomes.get('31')).toEqual({ kind: 'failed', reason: 'live_failed', detail: 'the query fails' });
  });

  it('says that time ran out where the database did not answer, and blames no model for it', async () => {
    const away = new TandemError('unavailable', 'The database does not answer at the moment.');
    const live = createLive({ features: { ...world.features, readUsers: () => Promise.reject(away) } });
    const outcomes = await live.predict(await requestFor([{ userId: '34' }]));
    expect(outcomes.get('34')).toMatchObject({
      kind: 'failed',
      reason: 'live_timeout',
      detail: 'the features could not be read in time: The database does not answer at the moment.',
    });
  });

  it('reports out of time for users that the failure of others left no time for', async () => {
    await world.change('36', 10);
    let asked = 0;
    // The model refuses the two together; then hardly any time is left for each by itself.
    const scorer: Scorer = {
      score: (request) => world.inference.score(asked++ === 0 ? request : { ...request, timeoutMs: 0.001 }),
    };
    const outcomes = await createLive({ scorer }).predict(await requestFor([{ userId: '35' }, { userId: '36' }]));
    expect([...outcomes.values()]).toMatchObject([{ reason: 'live_timeout' }, { reason: 'live_timeout' }]);
    expect(kept).toEqual([]);
  });

  it('of more rows than there is room for takes no room from readers with more time', async () => {
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

  it('does nothing at all where it is switched off', async () => {
    const { statements, features } = gatedFeatures();
    const live = createLive({ features });
    expect(await live.predict(await requestFor([{ userId: '32' }], { enabled: false }))).toEqual(new Map());
    expect(statements).toEqual([]);
  });

  it('answers on after more tables than it remembers', async () => {
    const live = createLive();
    const request = await requestFor([{ userId: '33' }]);
    for (let overlayFloor = 0; overlayFloor < 70; overlayFloor++) {
      const outcomes = await live.predict({ ...request, assignment: { ...request.assignment, overlayFloor } });
      expect(outcomes.get('33')).toMatchObject({ kind: 'predicted' });
    }
  });
});
