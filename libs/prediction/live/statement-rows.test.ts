import { expect, test } from 'vitest';
import type { CertifiedFeatures } from '../scoring/feature-source.ts';
import type { Flight } from './live-flights.ts';
import { Outcomes, rowsToScore } from './statement-rows.ts';

const TEXT = 'x'.repeat(1_000_000);
const batch = {
  ...{ history: 'h', readAt: 0, userIds: ['1', '2'], contextVersions: [0, 0], faults: new Map(), unusable: new Map() },
  columns: [{ name: 'note', kind: 'string' as const }],
  values: [[TEXT, 'short']],
};

function flightOf(userId: string, count: number): Flight {
  const rows = Array.from({ length: count }, () => ({ sent: {}, values: [] }));
  return { userId, rows, roomTaken: count, isSent: true, deadline: 0, waiters: [], followers: undefined };
}

test('a call that would repeat a user’s long text hundreds of times is rejected; other calls are answered', () => {
  const [long, short] = [flightOf('1', 500), flightOf('2', 500)];
  const outcomes = new Outcomes();
  const asked = rowsToScore({ batch } as unknown as CertifiedFeatures, [long, short], outcomes);
  expect(asked.requests).toEqual([{ flight: short, first: 2, count: 500 }]);
  expect(asked.groups).toEqual([]);
  expect(outcomes.of(long)).toMatchObject({ kind: 'failed', reason: 'features_unusable' });
});
