import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createChunkCpu } from './chunk-cpu.ts';

describe('the CPU time of a chunk', () => {
  it('is the time used while it ran alone, and its share of the time used beside others', () => {
    let used = 100;
    const cpu = createChunkCpu(() => used);
    const first = cpu.begin();
    used += 10;
    const second = cpu.begin();
    used += 20;
    expect(first.end()).toBe(20);
    used += 5;
    expect(second.end()).toBe(15);
    used += 50;
    expect([first.end(), second.end()]).toEqual([20, 15]);
    const third = cpu.begin();
    used += 1;
    expect(third.end()).toBe(1);
  });

  it('adds up, over chunks, to the time used while any chunk ran', () => {
    const steps = fc.array(
      fc.record({ ms: fc.integer({ min: 0, max: 1_000 }), chunk: fc.integer({ min: 0, max: 4 }) }),
    );
    fc.assert(
      fc.property(steps, (taken) => {
        let [used, ofChunks, ended] = [0, 0, 0];
        const cpu = createChunkCpu(() => used);
        const underWay = new Map<number, ReturnType<typeof cpu.begin>>();
        const end = (chunk: number) => {
          ended += underWay.get(chunk)?.end() ?? 0;
          underWay.delete(chunk);
        };
        for (const { ms, chunk } of taken) {
          if (underWay.size > 0) ofChunks += ms;
          used += ms;
          if (underWay.has(chunk)) end(chunk);
          else underWay.set(chunk, cpu.begin());
        }
        for (const chunk of [...underWay.keys()]) end(chunk);
        expect(ended).toBeCloseTo(ofChunks, 6);
      }),
    );
  });
});
