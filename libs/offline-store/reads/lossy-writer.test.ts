import type { OverlayEntry } from '@tandem/freshness/stored-prediction';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLossyWriter } from './overlay.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function entry(userId: string, contextVersion = 1): OverlayEntry {
  return {
    predictor: 'p',
    userId,
    modelVersionId: 'm',
    history: 'h',
    overlayFloor: 0,
    contextVersion,
    source: 'live',
    computedAt: 0,
    outputs: Buffer.alloc(0),
  };
}

/** A store that records its batches, and fails while the test wants it to. */
function recordingStore() {
  const batches: (readonly OverlayEntry[])[] = [];
  let failing = false;
  return {
    batches,
    fail: (value: boolean) => {
      failing = value;
    },
    async put(entries: readonly OverlayEntry[]) {
      if (failing) throw new Error('down');
      batches.push(entries);
    },
  };
}

test('entries are gathered for a short time, and the latest of each user is written once', async () => {
  const store = recordingStore();
  const writer = createLossyWriter(store, { flushMs: 50 });
  writer.keepLater([entry('1'), entry('2')]);
  writer.keepLater([entry('1', 3), entry('1', 2)]);
  await vi.advanceTimersByTimeAsync(49);
  expect(store.batches).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(store.batches.flat().map((one) => [one.userId, one.contextVersion])).toEqual([
    ['1', 3],
    ['2', 1],
  ]);
  writer.keepLater([entry('3')]);
  await vi.advanceTimersByTimeAsync(50);
  expect(store.batches).toHaveLength(2);
});

test('many are written in the order of their users, a thousand at a time', async () => {
  const store = recordingStore();
  const writer = createLossyWriter(store, { flushMs: 50 });
  const userIds = Array.from({ length: 2_500 }, (_, i) => String(1_000 + ((i * 701) % 2_500)));
  writer.keepLater(userIds.map((userId) => entry(userId)));
  await vi.advanceTimersByTimeAsync(50);
  expect(store.batches.map((batch) => batch.length)).toEqual([1_000, 1_000, 500]);
  expect(store.batches.flat().map((one) => one.userId)).toEqual(userIds.toSorted());
});

test('entries that do not fit or cannot be written are dropped and counted', async () => {
  const store = recordingStore();
  const writer = createLossyWriter(store, { maxEntries: 2, flushMs: 50 });
  writer.keepLater([entry('1'), entry('2'), entry('3'), entry('2', 2)]);
  expect(writer.dropped()).toBe(1);
  store.fail(true);
  await vi.advanceTimersByTimeAsync(50);
  expect(writer.dropped()).toBe(3);
  store.fail(false);
  writer.keepLater([entry('4')]);
  await vi.advanceTimersByTimeAsync(50);
  expect(store.batches.flat()).toHaveLength(1);
});

test('closing writes the waiting entries, and accepts no more', async () => {
  const store = recordingStore();
  const writer = createLossyWriter(store);
  writer.keepLater([entry('1')]);
  await writer.close();
  writer.keepLater([entry('2')]);
  expect(store.batches.flat().map((one) => one.userId)).toEqual(['1']);
  expect(writer.dropped()).toBe(1);
});
