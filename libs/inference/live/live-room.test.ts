import type { ModelVersion } from '@tandem/freshness/predictor';
import { describe, expect, it } from 'vitest';
import { LiveRoom, type LiveRoomOptions } from './live-room.ts';

const version = { id: 'a' } as ModelVersion;
const ROW_MS = 5;

/** Creates a room with a version that takes 5 ms for each row, and a clock that the test sets. */
function createWorld(options: Partial<LiveRoomOptions> = {}) {
  const clock = { now: 0 };
  const waiting = { rows: 0, ms: 0 };
  const room = new LiveRoom({
    slots: 1,
    maxRunRows: () => 256,
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
  it('counts runs of the size that the version may have now', () => {
    let most = 256;
    const { room, run } = createWorld({ maxRunRows: () => most, slots: 2 });
    for (const rows of [1, 2, 16, 64, 256]) run(rows, 5);
    const large = room.room(version, 50);
    most = 32;
    expect(room.room(version, 50)).toBeLessThan(large / 2);
  });

  it('allows the rows that can run in half of the time, minus work under way and waiting', () => {
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
    // The version now takes 10 ms for each row instead of 5 ms.
    expect(room.room(version, 400)).toBe(20);
    for (let i = 0; i < 120; i++) {
      run(8);
      clock.now += 40;
    }
    expect(room.room(version, 400)).toBeGreaterThan(38);
  });

  it('ignores an earlier end if no request waited for the child, or if the waiting readers had gone', () => {
    const { room, waiting, clock, run } = createWorld({ slots: 2, maxRunRows: () => 8 });
    for (const rows of [1, 2, 4, 8]) run(rows);
    const before = room.costMs(version, 8, 400);
    /** Lets a new request ask for room, and runs it. */
    const runForNewcomer = () => {
      clock.now += 20;
      room.room(version, 400);
      run(8);
    };
    for (let i = 0; i < 40; i++) {
      const both = [room.begin(version, 8, true), room.begin(version, 8, true)];
      clock.now += 8 * ROW_MS;
      // Both runs end in one turn while requests wait, and one run takes all requests.
      waiting.rows = 8;
      for (const one of both) one.end(true);
      waiting.rows = 0;
      run(8);
      runForNewcomer();
      // A request waits for the next child, but its caller has disconnected when the child is free.
      waiting.rows = 1;
      run(8);
      waiting.rows = 0;
      runForNewcomer();
    }
    expect(room.costMs(version, 8, 400)).toBeCloseTo(before, 6);
    // The time between runs counts as before.
    waiting.rows = 1;
    for (let i = 0; i < 40; i++) {
      run(8);
      clock.now += 8 * ROW_MS;
    }
    expect(room.costMs(version, 8, 400)).toBeGreaterThan(1.5 * before);
  });

  it('allows at least one row while a child is idle, however slow the model was', () => {
    const { room, run } = createWorld();
    run(1, 10_000);
    expect(room.room(version, 50)).toBe(1);
    room.begin(version, 1, true);
    expect(room.room(version, 50)).toBe(0);
  });

  it('allows all rows up to the limit if nothing is known yet', () => {
    expect(createWorld().room.room(version, 50)).toBe(1_000);
  });

  it('grows with the number of children', () => {
    const { room, run } = createWorld({ slots: 3 });
    for (const rows of [1, 2, 4, 8]) run(rows);
    expect(room.room(version, 400)).toBe(120);
    room.begin(version, 8, true);
    room.begin(version, 8, true);
    expect(room.room(version, 400)).toBe(120);
  });
});

describe('isTooLate', () => {
  it('applies to requests that have waited for half of their time and have less time left than a run takes', () => {
    const { room, run } = createWorld();
    expect(room.isTooLate(version, 1, 400, 1)).toBe(false);
    for (const rows of [8, 16, 32, 64]) run(rows);
    const late = [1, 5, 6, 40].map((leftMs) => room.isTooLate(version, 1, 400, leftMs));
    expect(late).toEqual([true, true, false, false]);
    expect([44, 45].map((leftMs) => room.isTooLate(version, 8, 400, leftMs))).toEqual([true, false]);
    // A new request gets a run, since only a run can show that the model is faster now.
    expect([199, 200].map((leftMs) => room.isTooLate(version, 64, 400, leftMs))).toEqual([true, false]);
  });
});

describe('runRows', () => {
  it('fits a quarter of the time, and the remaining time of the first request', () => {
    const { room, run } = createWorld();
    for (const rows of [8, 16, 32, 64]) run(rows);
    expect([room.runRows(version, 400), room.runRows(version, 400, 50), room.runRows(version, 400, -5)]).toEqual([
      20, 9, 1,
    ]);
  });

  it('has the rows that cost little more than one, if one row already exceeds the time of a run', () => {
    const { room, run } = createWorld();
    for (const rows of [1, 8, 16, 32]) run(rows, 200 + rows);
    expect(room.runRows(version, 400)).toBe(64);
  });

  it('never exceeds the limit of a run', () => {
    const { room, run } = createWorld({ maxRunRows: () => 4 });
    run(4, 1);
    expect(room.runRows(version, 10_000)).toBe(4);
  });
});
