import { expect, test } from 'vitest';
import {
  BEYOND_QUOTA,
  type LiveOutcome,
  type LivePredictor,
  type LiveRequest,
  NO_ROOM,
  OVER_QUOTA,
  predictWithin,
} from './live-predictor.ts';
import type { LiveQuota, ReadOptions } from './read-options.ts';

const INFERRED: LiveOutcome = { kind: 'no_features' };

function asked(enabled = true): { request: LiveRequest; live: LivePredictor; users: string[] } {
  const users: string[] = [];
  const readers = ['1', '2', '3'].map((userId) => ({ userId, minVersion: 0, fresh: false }));
  const live: LivePredictor = {
    async predict(request) {
      users.push(...request.readers.map(({ userId }) => userId));
      return new Map(request.readers.map(({ userId }) => [userId, INFERRED]));
    },
  };
  return { request: { readers, enabled } as unknown as LiveRequest, live, users };
}

/** Returns a quota of `left` inferences that is never refilled. */
function quotaOf(left: number, most = 10) {
  return {
    most,
    left,
    take(wanted: number) {
      const taken = Math.min(wanted, this.left);
      this.left -= taken;
      return taken;
    },
    giveBack(unused: number) {
      this.left += unused;
    },
  };
}

function limitedBy(liveQuota: LiveQuota | undefined): Pick<ReadOptions, 'liveQuota'> {
  return liveQuota === undefined ? {} : { liveQuota };
}

test.each([
  [undefined, ['1', '2', '3']],
  [9, ['1', '2', '3']],
  [3, ['1', '2', '3']],
  [2, ['1', '2']],
  [0, []],
])('with a quota of %s, that many users are inferred, and the others are over quota', async (room, inferred) => {
  const { request, live, users } = asked();
  const quota = room === undefined ? undefined : quotaOf(room);
  const outcomes = await predictWithin(live, request, limitedBy(quota));
  expect(users).toEqual(inferred);
  expect([...outcomes]).toEqual(
    ['1', '2', '3'].map((userId) => [userId, inferred.includes(userId) ? INFERRED : OVER_QUOTA]),
  );
});

test('a predictor without live inference takes nothing from the quota', async () => {
  const { request, live } = asked(false);
  const quota = quotaOf(9);
  await predictWithin(live, request, limitedBy(quota));
  expect(quota.left).toBe(9);
});

test('an overloaded inference uses up none of the quota', async () => {
  const full: LiveOutcome = { kind: 'failed', reason: 'overloaded', detail: 'too many users wait for the model' };
  const late: LiveOutcome = { kind: 'failed', reason: 'live_timeout', detail: 'late' };
  const outcomes: [string, LiveOutcome][] = [
    ['1', NO_ROOM],
    ['2', { kind: 'rows', rows: [INFERRED, full, full] }],
    ['3', late],
  ];
  const live: LivePredictor = { predict: async () => new Map(outcomes) };
  const rows = new Array(3).fill({ sent: {}, values: [] });
  const readers = [{ userId: '1', rows }, { userId: '2', rows }, { userId: '3' }];
  const ask = (quota: ReturnType<typeof quotaOf>) =>
    predictWithin(live, { readers, enabled: true } as unknown as LiveRequest, limitedBy(quota));
  const quota = quotaOf(7);
  expect([...(await ask(quota))]).toEqual(outcomes);
  expect(quota.left).toBe(5);
  // This quota has nothing left for the third user.
  const small = quotaOf(6);
  await ask(small);
  expect(small.left).toBe(5);
});

test('the rows of one user count together against the quota; what they cannot use stays for the next user', async () => {
  const { live, users } = asked();
  const row = { sent: {}, values: [] };
  const ask = (quota: ReturnType<typeof quotaOf>, ...rows: readonly number[]) => {
    const readers = rows.map((count, i) => ({
      ...{ userId: String(i), minVersion: 0, fresh: true },
      rows: new Array(count).fill(row),
    }));
    return predictWithin(live, { readers, enabled: true } as unknown as LiveRequest, limitedBy(quota));
  };
  const quota = quotaOf(10);
  expect([...(await ask(quota, 500)).values()]).toEqual([BEYOND_QUOTA]);
  expect(quota.left).toBe(10);
  expect([...(await ask(quota, 6)).values()]).toEqual([INFERRED]);
  expect([...(await ask(quota, 6, 1)).values()]).toEqual([INFERRED, OVER_QUOTA]);
  expect([quota.left, users]).toEqual([3, ['0', '1']]);
});

test.each([
  [60_000, 250],
  [Number.POSITIVE_INFINITY, 250],
  [100, 90],
  [0, 0],
])('with %s ms until the caller’s deadline, a live timeout of 250 ms becomes %s ms', async (leftMs, expected) => {
  const asked = Promise.withResolvers<LiveRequest>();
  const live: LivePredictor = {
    async predict(request) {
      asked.resolve(request);
      return new Map();
    },
  };
  const listeners: (() => void)[] = [];
  const patience = { leftMs: () => leftMs, onGone: (tell: () => void) => void listeners.push(tell) };
  await predictWithin(live, { readers: [], enabled: true, timeoutMs: 250 } as unknown as LiveRequest, { patience });
  const request = await asked.promise;
  expect(request).toMatchObject({ timeoutMs: expected, isCallersTime: expected < 250 });
  const told = new Promise<void>((resolve) => request.onGone?.(resolve));
  for (const tell of listeners) tell();
  await told;
});

test('a caller that has already disconnected costs no inference and no quota', async () => {
  const { request, live, users } = asked();
  const quota = quotaOf(9);
  const patience = { leftMs: () => Number.POSITIVE_INFINITY, onGone: (tell: () => void) => tell() };
  const predicting = predictWithin(live, request, { ...limitedBy(quota), patience });
  await expect(predicting).rejects.toMatchObject({ code: 'caller_gone' });
  expect([users, quota.left]).toEqual([[], 9]);
});

test('a caller that disconnects during live inference gets no answer', async () => {
  const { request, live } = asked();
  let leave = () => {};
  const onGone = (tell: () => void) => {
    leave = tell;
  };
  const patience = { leftMs: () => Number.POSITIVE_INFINITY, onGone };
  const leaving: LivePredictor = {
    predict(one) {
      leave();
      return live.predict(one);
    },
  };
  await expect(predictWithin(leaving, request, { patience })).rejects.toMatchObject({ code: 'caller_gone' });
});
