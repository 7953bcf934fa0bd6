import {
  createGate,
  createPredictionWorld,
  inShort,
  PREDICTOR,
  type PredictionWorld,
} from '@tandem/prediction/prediction-world.fixture';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PLAIN_READ } from './read-options.ts';
import type { PredictionReader } from './reader.ts';

let world: PredictionWorld;
let read: PredictionReader;
let certified: number;
let statements: number;
let runs: number;
/** Runs between the feature statement and the inference. */
let meanwhile: () => Promise<void>;

beforeAll(async () => {
  world = await createPredictionWorld({ users: 60 });
});
beforeEach(async () => {
  await world.adoptWith();
  const { authority, features, inference } = world;
  meanwhile = async () => {};
  read = world.createReader(
    {
      authority: {
        certify(...asked) {
          certified++;
          return authority.certify(...asked);
        },
      },
    },
    {
      features: {
        ...features,
        async readUsers(...asked) {
          statements++;
          const found = await features.readUsers(...asked);
          await meanwhile();
          return found;
        },
      },
      scorer: {
        score(request) {
          runs++;
          return inference.score(request);
        },
      },
    },
  );
  // From here on the reader knows the assignment.
  await read(PREDICTOR, ['60'], PLAIN_READ);
  [certified, statements, runs] = [0, 0, 0];
});
afterAll(() => world?.close());

const demand = async (...userIds: string[]) => read(PREDICTOR, userIds, { ...PLAIN_READ, noCache: true });
const short = async (...userIds: string[]) => (await demand(...userIds)).map(inShort);

describe('a demanded inference', () => {
  it('is certified by the statement that read its features', async () => {
    await world.change('1', 3);
    expect(await short('1', '2')).toEqual(['live requested 0.3', 'live requested 0']);
    expect((await demand('1'))[0]).toMatchObject({ contextVersion: 1, predictedFromContextVersion: 1, kept: true });
    expect([certified, statements]).toEqual([0, 2]);
  });

  it('never answers from a statement that was sent before the read arrived', async () => {
    const gate = createGate();
    meanwhile = gate.pass;
    const before = demand('3');
    await gate.arrived;
    await world.change('3');
    const after = demand('3');
    gate.open();
    expect([(await before).map(inShort), (await after).map(inShort)]).toEqual([
      ['live requested 0'],
      ['live requested 0.1'],
    ]);
  });

  it('does not answer the read if another policy was adopted during the inference', async () => {
    let isFirst = true;
    await world.adoptWith({ liveTimeoutMs: 9_000 });
    expect(await short('4')).toEqual(['live requested 0']);
    expect(certified).toBe(1);
    meanwhile = async () => {
      if (isFirst) await world.adoptWith({ live: false, onLiveFailure: 'error' });
      isFirst = false;
    };
    // The statement began before the change, so the answer describes the moment before the change.
    expect(await short('4')).toEqual(['live requested 0']);
    expect(await short('4')).toEqual(['invalid_input']);
  });

  it('is not repeated after a failure; the ladder continues with the next rung', async () => {
    await short('5');
    await world.change('5', 10);
    runs = 0;
    expect(await short('5')).toEqual(['stale live_failed 0']);
    expect(runs).toBe(1);
  });

  it('distinguishes erased users from unknown users, and answers all other users', async () => {
    await world.erase('6');
    await world.erase('7');
    await world.remove('7');
    expect(await short('6', '7', '9999', '8')).toEqual([
      'unknown_user',
      'unknown_user',
      'unknown_user',
      'live requested 0',
    ]);
    await world.readmit('6');
    expect(await short('6')).toEqual(['live requested 0']);
  });
});
