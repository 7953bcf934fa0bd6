import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createTurns } from './in-turns.ts';

describe('queued work', () => {
  it('runs in order, within the time of each turn', async () => {
    const clock = { now: 0 };
    const turns = createTurns({ budgetMs: 2, now: () => clock.now });
    let turn = 0;
    const done: [work: number, turn: number][] = [];
    for (let i = 0; i < 5; i++) {
      turns.add(() => {
        clock.now++;
        done.push([i, turn]);
      });
    }
    expect(done).toEqual([]);
    for (; turn < 4; turn++) await nextTurn();
    expect(done.map(([work]) => work)).toEqual([0, 1, 2, 3, 4]);
    const counts = new Map<number, number>();
    for (const [, at] of done) counts.set(at, (counts.get(at) ?? 0) + 1);
    expect([...counts.values()]).toEqual([2, 2, 1]);
  });

  it('includes work that is added while it runs, and starts again with later work', async () => {
    const turns = createTurns();
    const done: string[] = [];
    turns.add(() => {
      done.push('a');
      turns.add(() => done.push('b'));
    });
    for (let i = 0; i < 4; i++) await nextTurn();
    turns.add(() => done.push('c'));
    for (let i = 0; i < 4; i++) await nextTurn();
    expect(done).toEqual(['a', 'b', 'c']);
  });
});
