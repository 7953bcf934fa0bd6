import { describe, expect, it } from 'vitest';
import { createInferenceCheck } from './readiness-parts.ts';

/** Children as the pool tells of them, and what was asked of them. */
function createChildren(pids: number[], idle: number) {
  const asked: (number | undefined)[] = [];
  const children = { pids, idle, answer: async (): Promise<void> => {} };
  const check = createInferenceCheck({
    scorer: {
      stats: () => ({ ...children, processes: 2, waitingRows: { live: 0, batch: 0 }, restingModels: 0 }),
    },
    warmUp: (most) => {
      asked.push(most);
      return children.answer();
    },
  });
  return { children, asked, check };
}

describe('the inference part', () => {
  it('works once all models were loaded, and asks for no more while a child is free', async () => {
    const { asked, check } = createChildren([1, 2], 2);
    for (let look = 0; look < 3; look++) await check();
    expect(asked).toEqual([undefined]);
  });

  it('fails while a model cannot be loaded, though its children live', async () => {
    const { children, check } = createChildren([1, 2], 2);
    children.answer = () => Promise.reject(new Error('the bytes are not those that were registered'));
    for (let look = 0; look < 2; look++) await expect(check()).rejects.toThrow('not those that were registered');
    children.answer = async () => {};
    await check();
  });

  it('asks where none is free, for one model, and once for all who ask', async () => {
    const { children, asked, check } = createChildren([1, 2], 2);
    await check();
    children.idle = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    children.answer = () => promise;
    const looks = [check(), check()];
    expect(asked).toEqual([undefined, 1]);
    resolve();
    await Promise.all(looks);
  });

  it('loads everything again where no child is left', async () => {
    const { children, asked, check } = createChildren([1, 2], 2);
    await check();
    children.pids = [];
    children.idle = 0;
    await check();
    expect(asked).toEqual([undefined, undefined]);
  });
});
