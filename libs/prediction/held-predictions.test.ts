import { describe, expect, it } from 'vitest';
import { inGeneration } from './certified-read.fixture.ts';
import { createHeldPredictions } from './held-predictions.ts';

const { outputs: _outputs, ...label } = inGeneration(0);
const held = (score: number) => ({ label, prediction: { score } });
/** Of one such prediction, as it is counted. */
const BYTES = 1_300 + 2 + 16;

describe('createHeldPredictions', () => {
  it('finds what was kept, by generation and user, until it is forgotten', () => {
    const memory = createHeldPredictions({ maxBytes: 1e6 });
    memory.keep('g1', '1', held(1));
    memory.keep('g1', '2', held(2));
    memory.keep('g2', '1', held(3));
    expect(memory.find('g1', '1')?.prediction).toEqual({ score: 1 });
    expect(memory.find('g2', '1')?.prediction).toEqual({ score: 3 });
    expect(memory.find('g2', '2')).toBeUndefined();
    memory.forget('g1', '1');
    expect(memory.find('g1', '1')).toBeUndefined();
    expect(memory.find('g1', '2')?.prediction).toEqual({ score: 2 });
  });

  it('holds no more than its bound, and of that what was read last', () => {
    const memory = createHeldPredictions({ maxBytes: 20 * BYTES });
    for (let user = 10; user < 1_000; user++) {
      memory.keep('g', String(user), held(user));
      if (user > 10) expect(memory.find('g', '10')?.prediction).toEqual({ score: 10 });
    }
    const found = Array.from({ length: 990 }, (_, i) => memory.find('g', String(i + 10))).filter(Boolean);
    expect(found.length).toBeGreaterThan(5);
    expect(found.length).toBeLessThanOrEqual(20);
  });

  it('drops what nobody reads after a while', () => {
    let now = 0;
    const memory = createHeldPredictions({ maxBytes: 1e6, clock: () => now });
    memory.keep('g', 'idle', held(1));
    memory.keep('g', 'read', held(2));
    for (let turn = 0; turn < 3; turn++) {
      now += 600_001;
      memory.keep('g', `other ${turn}`, held(3));
      expect(memory.find('g', 'read')).toBeDefined();
    }
    expect(memory.find('g', 'idle')).toBeUndefined();
  });

  it('without room holds nothing', () => {
    const memory = createHeldPredictions({ maxBytes: 0 });
    memory.keep('g', '1', held(1));
    expect(memory.find('g', '1')).toBeUndefined();
  });
});
