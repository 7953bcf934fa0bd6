import type { ModelVersion } from '@tandem/freshness/predictor';
import { describe, expect, it } from 'vitest';
import { createLiveRoom, type LiveRoomOptions } from './live-room.ts';

const version = { id: 'a' } as ModelVersion;
const ROW_MS = 5;

/** A room whose version takes 5 ms a row, and a clock that the test moves. */
function createWorld(options: Partial<LiveRoomOptions> = {}) {
  const clock = { now: 0 };
  const waiting = { rows: 0, ms: 0 };
  const room = createLiveRoom({
    slots: 1,
    maxRunRows: 256,
    maxWaitingRows: 1_000,
    waiting: () => waiting,
    now: () => clock.now,
    ...options,
  });
  const run = (rows: number, ms = rows * ROW_MS) => {
    const one = room.begin(version, rows, true);
    clock.now += ms;
    one.end(true);
  };
  return { room, waiting, clock, run };
}

describe('room', () => {
  it('is for as many as can be run in half of the time, less work under way and waiting', () => {
    const { room, waiting, run } = createWorld();
    for (const rows of [1, 2, 4, 8]) run(rows);
    expect(room.room(version, 400)).toBe(40);
    const under = room.begin(version, 8, true);
    expect(room.room(version, 400)).toBe(32);
    Object.assign(waiting, { rows: 10, ms: 50 });
    expect(room.room(version, 400)).toBe(22);
    Object.assign(waiting, { rows: 32, ms: 160 });
    expect(room.room(version, 400)).toBe(0);
    under.end(false);
    expect(room.room(version, 400)).toBe(8);
  });

  it('counts the gap between two runs as run time while requests wait', () => {
    const { room, waiting, clock, run } = createWorld();
    for (const rows of [1, 2, 4, 8]) run(rows);
    expect(room.room(version, 400)).toBe(40);
    Object.assign(waiting, { rows: 1, ms: 0 });
    for (let i = 0; i < 40; i++) {
      run(8);
      clock.now += 40;
    }
    Object.assign(waiting, { rows: 0, ms: 0 });
    // 10 ms a row rather than 5.
    expect(room.room(version, 400)).toBe(20);
    for (let i = 0; i < 120; i++) {
      run(8);
      clock.now += 40;
    }
    expect(room.room(version, 400)).toBeGreaterThan(38);
  });

  it('ignores an older end: of a child that no request waits for, or whose readers have gone', () => {
    const { room, waiting, clock, run } = createWorld({ slots: 2, maxRunRows: 8 });
    for (const rows of [1, 2, 4, 8]) run(rows);
    const before = room.costMs(version, 8, 400);
    /** A new request asks for room. */
    const runForNewcomer = () => {
      clock.now += 20;
      room.room(version, 400);
      run(8);
    };
    for (let i = 0; i < 40; i++) {
      const both = [room.begin(version, 8, true), room.begin(version, 8, true)];
      clock.now += 8 * ROW_MS;
      // Both end in one turn, while requests wait: one run takes them all.
      waiting.rows = 8;
      for (const one of both) one.end(true);
      waiting.rows = 0;
      run(8);
      runForNewcomer();
      // A request waits for the next child, and has gone by the time it is free.
      waiting.rows = 1;
      run(8);
      waiting.rows = 0;
      runForNewcomer();
    }
    expect(room.costMs(version, 8, 400)).toBeCloseTo(before, 6);
    // What lies between runs is counted as before.
    waiting.rows = 1;
    for (let i = 0; i < 40; i++) {
      run(8);
      clock.now += 8 * ROW_MS;
    }
    expect(room.costMs(version, 8, 400)).toBeGreaterThan(1.5 * before);
  });

  it('is for one at least while a child has nothing to do, however slow the model was', () => {
    const { room, run } = createWorld();
    run(1, 10_000);
    expect(room.room(version, 50)).toBe(1);
    room.begin(version, 1, true);
    expect(room.room(version, 50)).toBe(0);
  });

  it('is for all that may wait where nothing is known yet', () => {
    expect(createWorld().room.room(version, 50)).toBe(1_000);
  });

  it('grows with the children', () => {
    const { room, run } = createWorld({ slots: 3 });
    for (const rows of [1, 2, 4, 8]) run(rows);
    expect(room.room(version, 400)).toBe(120);
    room.begin(version, 8, true);
    room.begin(version, 8, true);
    expect(room.room(version, 400)).toBe(120);
  });
});

describe('isTooLate', () => {
  it('applies to requests with less time left than a run takes that have waited for half of the time', () => {
    const { room, run } = createWorld();
    expect(room.isTooLate(version, 1, 400, 1)).toBe(false);
    for (const rows of [8, 16, 32, 64]) run(rows);
    const late = [1, 5, 6, 40].map((leftMs) => room.isTooLate(version, 1, 400, leftMs));
    expect(late).toEqual([true, true, false, false]);
    expect([44, 45].map((leftMs) => room.isTooLate(version, 8, 400, leftMs))).toEqual([true, false]);
    // A new request gets a run: else nothing would show that the model is faster now.
    expect([199, 200].map((leftMs) => room.isTooLate(version, 64, 400, leftMs))).toEqual([true, false]);
  });
});

describe('runRows', () => {
  it('is the work that fits a quarter of the time, and the rest of the first request’s time', () => {
    const { room, run } = createWorld();
    for (const rows of [8, 16, 32, 64]) run(rows);
    expect([room.runRows(version, 400), room.runRows(version, 400, 50), room.runRows(version, 400, -5)]).toEqual([
      20, 9, 1,
    ]);
  });

  it('is as many as cost hardly more than one, where one takes longer than a run should', () => {
    const { room, run } = createWorld();
    for (const rows of [1, 8, 16, 32]) run(rows, 200 + rows);
    expect(room.runRows(version, 400)).toBe(64);
  });

  it('is never more than a run may have', () => {
    const { room, run } = createWorld({ maxRunRows: 4 });
    run(4, 1);
    expect(room.runRows(version, 10_000)).toBe(4);
  });
});
