import { describe, expect, it } from 'vitest';
import { createInferenceCheck } from './readiness.ts';

/** Creates a pool with its children, their loaded models, and the number of questions to a child. */
function createChildren(idle: number) {
  const children = { idle, fault: null as string | null, asked: 0, answer: async (): Promise<void> => {} };
  const check = createInferenceCheck({
    scorer: {
      stats: () => ({
        ...{ processes: 2, waitingRows: { live: 0, batch: 0 }, restingModels: 0, pids: [1, 2] },
        models: { held: 2, bytes: 0 },
        idle: children.idle,
      }),
    },
    kept: {
      assertServed() {
        if (children.fault !== null) throw new Error(children.fault);
      },
      ask() {
        children.asked++;
        return children.answer();
      },
    },
  });
  return { children, check };
}

describe('the inference part', () => {
  it('is ready while the serving models are loaded and a child is free, without asking the child', async () => {
    const { children, check } = createChildren(2);
    for (let look = 0; look < 3; look++) await check();
    expect(children.asked).toBe(0);
  });

  it('fails while a serving model is not loaded, even if children are alive and free', async () => {
    const { children, check } = createChildren(2);
    children.fault = 'the bytes are not those that were registered';
    for (let look = 0; look < 2; look++) await expect(check()).rejects.toThrow('not those that were registered');
    children.fault = null;
    await check();
  });

  it('asks a child if none is free, once for all concurrent callers', async () => {
    const { children, check } = createChildren(0);
    const { promise, resolve } = Promise.withResolvers<void>();
    children.answer = () => promise;
    const looks = [check(), check()];
    expect(children.asked).toBe(1);
    resolve();
    await Promise.all(looks);
    children.answer = () => Promise.reject(new Error('it does not answer'));
    await expect(check()).rejects.toThrow('it does not answer');
  });
});
