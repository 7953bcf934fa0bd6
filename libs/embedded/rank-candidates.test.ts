import type { ReadResult } from '@tandem/freshness/answer';
import { answerOf } from '@tandem/freshness/answer.fixture';
import { readOf } from '@tandem/freshness/certified-read.fixture';
import type { ModelVersion, PredictionValue } from '@tandem/freshness/predictor';
import { PLAIN_READ } from '@tandem/freshness/read-options';
import type { PredictionReader } from '@tandem/freshness/reader';
import { createMetrics } from '@tandem/telemetry/metrics';
import { expect, test } from 'vitest';
import { createRankCandidates } from './rank-candidates.ts';

/** Ranks candidates a, b, c, …, with these values as the output `rank`. */
async function rankedBy(type: 'int64' | 'uint64' | 'bool', values: readonly PredictionValue[]) {
  const outputs = [{ name: 'rank', output: 'rank', type, width: null, index: 0 }];
  const readPrediction: PredictionReader = async (_, userIds, { request }) => {
    request?.checkVersion?.({ outputs } as unknown as ModelVersion);
    return userIds.map((_, i): ReadResult => answerOf({ prediction: { rank: values[i] ?? 0 } }));
  };
  const metrics = createMetrics({ app: 'embedded', processMetrics: false });
  const rankCandidates = createRankCandidates({ readPrediction, metrics, onAnswer: () => {} });
  const candidates = values.map((_, i) => ({ id: 'abcdef'[i] ?? '', features: {} }));
  const { ranked } = await rankCandidates(readOf().predictor, { userId: '1', candidates }, PLAIN_READ);
  return ranked.map(({ id, score }) => [id, score]);
}

test('integers beyond the range of a JSON number are ranked exactly, and shown as in the prediction', async () => {
  // As numbers, the first three would be equal.
  const wide = ['9007199254740992', '9007199254740994', '9007199254740993', 7, '-9007199254740993', -7];
  expect(await rankedBy('int64', wide)).toEqual([
    ['b', '9007199254740994'],
    ['c', '9007199254740993'],
    ['a', '9007199254740992'],
    ['d', 7],
    ['f', -7],
    ['e', '-9007199254740993'],
  ]);
  expect(await rankedBy('uint64', ['18446744073709551614', '18446744073709551615'])).toEqual([
    ['b', '18446744073709551615'],
    ['a', '18446744073709551614'],
  ]);
});

test('a boolean counts as 0 or 1, and equal candidates keep their order', async () => {
  expect(await rankedBy('bool', [false, true, true])).toEqual([
    ['b', 1],
    ['c', 1],
    ['a', 0],
  ]);
});
