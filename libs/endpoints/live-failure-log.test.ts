import type { Answer } from '@tandem/freshness/answer';
import { TandemError } from '@tandem/freshness/errors';
import { createLog } from '@tandem/telemetry/log';
import { startWideEvent } from '@tandem/telemetry/wide-event';
import { expect, test } from 'vitest';
import { createLiveFailureLog } from './live-failure-log.ts';

const answer = (userId: string, more: Partial<Answer> = {}) => ({ predictor: 'p', userId, ...more }) as Answer;
const stale = (userId: string, reason: Answer['reason'], liveFailure: string) =>
  answer(userId, { source: 'stale', reason, liveFailure });

function start() {
  const at = { ms: 0 };
  const note = createLiveFailureLog(() => at.ms);
  /** Notes the results of a read. Returns the logged failures, and whether the line is always written. */
  const read = (...results: Parameters<typeof note>[2]) => {
    const lines: string[] = [];
    const log = createLog({ level: 'info', name: 'api', destination: { write: (line) => void lines.push(line) } });
    const event = startWideEvent('request.served', {}, { log });
    const [first] = results;
    const predictor = first instanceof TandemError || !first ? 'p' : first.predictor;
    note(
      event,
      { predictor, userIds: results.map((one, i) => ('userId' in one ? one.userId : `error ${i}`)) },
      results,
    );
    event.end();
    return {
      isNotable: event.isNotable,
      failures: (JSON.parse(lines[0] ?? '') as Record<string, unknown>).liveFailures,
    };
  };
  return { at, read };
}

test('names the users whose live inference failed, and why', () => {
  const { read } = start();
  const results = [
    answer('1', { source: 'batch', reason: 'fresh' }),
    stale('2', 'live_timeout', 'no answer within 50 ms'),
    new TandemError('live_failed', 'No fresh prediction.', { detail: 'the model rejects a text' }),
    new TandemError('unknown_user', 'No user has this id.', { detail: 'no row' }),
    stale('3', 'live_failed', 'the process ended'),
  ];
  expect(read(...results)).toEqual({
    isNotable: true,
    failures: [
      { userId: '2', reason: 'live_timeout', detail: 'no answer within 50 ms' },
      { userId: 'error 2', reason: 'live_failed', detail: 'the model rejects a text' },
      { userId: '3', reason: 'live_failed', detail: 'the process ended' },
    ],
  });
});

test('names at most ten users of a read', () => {
  const many = Array.from({ length: 50 }, (_, i) => stale(`${i}`, 'live_timeout', 'late'));
  expect(start().read(...many).failures).toHaveLength(10);
});

test('logs neither reads without a failure, nor overloads, nor details that may contain features', () => {
  const { read } = start();
  const silent = { isNotable: false, failures: undefined };
  expect(read(answer('1', { source: 'live', reason: 'missing' }))).toEqual(silent);
  expect(read(stale('1', 'overloaded', 'more users wait'))).toEqual(silent);
  expect(read(answer('1', { source: 'stale', reason: 'overloaded', isOverQuota: true }))).toEqual(silent);
  for (const reason of ['features_failed', 'features_unusable', 'output_unusable'] as const) {
    expect(read(stale('1', reason, 'plan is "secret"'))).toEqual(silent);
  }
});

test('always writes ten lines a second for each predictor and reason', () => {
  const { at, read } = start();
  const notable = (times: number, ...[reason, predictor = 'p']: [Answer['reason'], string?]) =>
    Array.from({ length: times }, () => read({ ...stale('1', reason, 'why'), predictor })).filter(
      (one) => one.isNotable,
    ).length;
  expect([notable(50, 'live_failed'), notable(50, 'live_timeout'), notable(50, 'live_failed', 'q')]).toEqual([
    10, 10, 10,
  ]);
  at.ms = 500;
  expect(notable(50, 'live_failed')).toBe(5);
});
