import type { ExplanationToKeep, KeptInputs, ServedAnswer } from '@tandem/prediction/explanations/kept-explanation';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { adopt } from '../adopt.ts';
import { createTestDatabase, createVisits, expireRows, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createErasureStore } from '../users/erasures.ts';
import { createExplanationStore, createInputSource, expireKeptExplanations } from './kept-explanations.ts';

let database: TestDatabase;
let history: string;
let store: ReturnType<typeof createExplanationStore>;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  store = createExplanationStore(database.pool);
});
beforeEach(async () => {
  await database.reset();
  await createVisits(database.pool, 9);
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
  history = (await database.pool.query('select tandem.current_history() as history')).rows[0]?.history;
});
afterAll(() => database?.drop());

const DAY = 86_400_000;

function toKeep(
  userId: string,
  more: { label?: number; history?: string | null; ageMs?: number; keepForMs?: number } = {},
) {
  const { label = 0, ageMs = 0, keepForMs = DAY } = more;
  const inputs: KeptInputs = {
    ...{ read: 'for_the_answer', readAt: 1, history, contextVersion: label, fault: null },
    features: [
      { name: 'recency', value: -0, event: null },
      { name: 'orders', value: 0.1 + 0.2, event: { source: '"s\\', id: 'é\u2028', time: 1, accepted: 2 } },
      { name: 'city', value: '{"a":-0}', event: null },
    ],
  };
  const answer: ServedAnswer = {
    ...{ predictor: 'visits', userId, prediction: { score: 0.831 }, source: 'live', reason: 'missing', modelNumber: 1 },
    ...{ variant: 'stable', generationNumber: null, computedAt: 1, ageSeconds: 0, contextVersion: label },
    ...{ lastConcerningVersion: label, predictedFromContextVersion: label },
    ...{ history: more.history === undefined ? history : more.history },
  };
  return { answer, inputs, ageMs, keepForMs } satisfies ExplanationToKeep;
}

const keptUsers = async () => (await store.list({ limit: 100 })).map(({ answer }) => answer.userId);

describe('kept explanations', () => {
  it('are returned exactly, to the last bit and with minus zero', async () => {
    const one = toKeep('1', { ageMs: 60_000 });
    const [id] = await store.keep([one]);
    const [found] = await store.list({ limit: 10 });
    expect(found?.id).toBe(id);
    expect(found).toMatchObject({ answer: one.answer, inputs: one.inputs });
    expect(found && (await store.find(found.id))).toEqual(found);
    const { rows } = await database.pool.query(
      `select extract(epoch from clock_timestamp() - at)::float8 as age from tandem.kept_explanations`,
    );
    expect(rows[0]?.age).toBeGreaterThanOrEqual(60);
    expect(rows[0]?.age).toBeLessThan(90);
  });

  it('of an older release lack the last version that concerns the predictor', async () => {
    const [id = ''] = await store.keep([toKeep('1', { label: 4 })]);
    await database.pool.query(
      `update tandem.kept_explanations set answer = (answer::jsonb - 'lastConcerningVersion')::json`,
    );
    const versions = { contextVersion: 4, lastConcerningVersion: null };
    expect(await store.find(id)).toMatchObject({ answer: versions });
    expect(await store.list({ limit: 1 })).toMatchObject([{ answer: versions }]);
  });

  it('are found by predictor and user, newest first, page by page', async () => {
    await store.keep(['1', '2', '1'].map((userId, i) => toKeep(userId, { ageMs: 3 - i })));
    const ofOne = await store.list({ predictor: 'visits', userId: '1', limit: 10 });
    expect(ofOne.map(({ number }) => number)).toEqual([3, 1]);
    const [last] = await store.list({ limit: 1, before: 3 });
    expect(last?.answer.userId).toBe('2');
    expect(await store.list({ predictor: 'other', limit: 10 })).toEqual([]);
  });

  it('are omitted if their user was erased since, or if another history certified them', async () => {
    const erasures = createErasureStore(database.pool);
    await erasures.setTombstone('2');
    await erasures.readmit('2');
    const some = [toKeep('1'), toKeep('2', { label: 1 }), toKeep('2', { label: 2 }), toKeep('3', { history: 'other' })];
    expect(await store.keep(some)).toHaveLength(2);
    expect((await keptUsers()).sort()).toEqual(['1', '2']);
  });

  it('are deleted by an erasure: all up to the tombstone, and uncertified ones', async () => {
    const erasures = createErasureStore(database.pool);
    await store.keep([toKeep('1'), toKeep('2', { label: 0 }), toKeep('2', { label: 90, history: null })]);
    const { tombstone } = await erasures.setTombstone('2');
    expect(await erasures.deleteRows([tombstone.number])).toMatchObject({ keptExplanations: 2 });
    expect(await keptUsers()).toEqual(['1']);
    // A sweep deletes rows from before the readmission; later rows stay.
    await erasures.readmit('2');
    await store.keep([toKeep('2', { label: 2 })]);
    expect(await erasures.deleteRows([tombstone.number])).toMatchObject({ keptExplanations: 0 });
    expect(await keptUsers()).toEqual(['2', '1']);
  });

  it('expire at their stored time, or earlier by the predictor’s current setting', async () => {
    await store.keep([
      toKeep('1', { ageMs: 3 * DAY, keepForMs: 2 * DAY }),
      toKeep('2', { ageMs: 3 * DAY, keepForMs: 30 * DAY }),
      toKeep('3', { ageMs: DAY / 2, keepForMs: 30 * DAY }),
    ]);
    // The explanation is hidden, although its row still exists.
    expect(await keptUsers()).toEqual(['3', '2']);
    expect(await expireRows(database.pool)).toBeGreaterThanOrEqual(1);
    const count = async () => (await database.pool.query('select from tandem.kept_explanations')).rowCount;
    expect(await count()).toBe(2);
    await database.pool.query(
      `update tandem.predictors set policy = policy || '{"explanations": {"share": 1, "keepForMs": ${DAY}}}'`,
    );
    expect(await expireKeptExplanations(database.pool, 100)).toBe(1);
    expect(await keptUsers()).toEqual(['3']);
  });

  it('are limited for each predictor: the oldest are deleted first', async () => {
    await store.keep(['1', '2', '3', '4', '5'].map((userId, i) => toKeep(userId, { ageMs: 5 - i })));
    expect(await expireKeptExplanations(database.pool, 100, 3)).toBe(2);
    expect(await keptUsers()).toEqual(['5', '4', '3']);
    expect(await expireKeptExplanations(database.pool, 100, 3)).toBe(0);
    // A call removes a limited number.
    expect(await expireKeptExplanations(database.pool, 1, 1)).toBe(1);
    expect(await keptUsers()).toEqual(['5', '4']);
  });
});

describe('inputs that are read again', () => {
  it('distinguish values of the row from values of an event, for several users in one statement', async () => {
    await database.pool.query(
      `insert into tandem.events (source, id, type, user_id, data, time) values ('s', 'e', 't', '2', '{"orders": 40}', now())`,
    );
    const source = createInputSource(database.pool, database.pool);
    const version = await source.versionOf('visits', 1);
    const read = await source.readInputs(version, ['1', '2', '99']);
    expect([...read.keys()].sort()).toEqual(['1', '2']);
    expect(read.get('1')).toMatchObject({ read: 'after_the_reply', history, contextVersion: 0, fault: null });
    expect(read.get('2')?.contextVersion).toBe(1);
    expect(read.get('2')?.features.map(({ name, value, event }) => [name, value, event?.id])).toEqual([
      ['recency', 1, undefined],
      ['orders', 40, 'e'],
      ['member', 1, undefined],
      ['city', 'city 2', undefined],
    ]);
    await expect(source.versionOf('visits', 7)).rejects.toThrow('no model version 7');
  });
});
