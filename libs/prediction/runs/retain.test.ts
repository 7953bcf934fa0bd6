import { describe, expect, it } from 'vitest';
import { type RetainDependencies, retain, sweepLostKeys } from './retain.ts';
import { generationOf } from './run.fixture.ts';

function retaining(changes: Partial<RetainDependencies> = {}) {
  const said: string[] = [];
  const dependencies: RetainDependencies = {
    generations: { dropRetired: async () => [generationOf('g1'), generationOf('g2')] },
    sweeper: {
      async forget({ id }) {
        said.push(`forget ${id}`);
        return 0;
      },
      async sweep(listKept) {
        said.push(`sweep but ${await listKept()}`);
        return { generations: [], keys: 0 };
      },
      sweepLost: async () => ({ generations: [], keys: 3 }),
    },
    turns: { take: (_name, _times, work) => work() },
    listGenerations: async () => ['g3'],
    removeUnusedArtifacts: async () => 2,
    ...changes,
  };
  return { dependencies, said };
}

describe('retention', () => {
  it('deletes from Redis the generations dropped in Postgres, then sweeps all but the kept generations', async () => {
    const { dependencies, said } = retaining();
    expect(await retain(dependencies)).toEqual({ generationsDropped: 2, artifactsRemoved: 2, errors: [] });
    expect(said).toEqual(['forget g1', 'forget g2', 'sweep but g3']);
  });

  it('leaves generations and lost keys to the worker that has the turn', async () => {
    const { dependencies, said } = retaining({ turns: { take: async () => undefined } });
    expect(await retain(dependencies)).toEqual({ generationsDropped: 0, artifactsRemoved: 0, errors: [] });
    expect([await sweepLostKeys(dependencies, AbortSignal.abort()), said]).toEqual([0, []]);
    expect(await sweepLostKeys(retaining().dependencies, AbortSignal.abort())).toBe(3);
  });

  it('does one step even if the other fails, and names the failed step', async () => {
    const away = (what: string) => () => Promise.reject(new Error(`${what} is away`));
    const first = retaining({ generations: { dropRetired: away('Postgres') } });
    expect(await retain(first.dependencies)).toEqual({
      generationsDropped: 0,
      artifactsRemoved: 2,
      errors: ['retention: Postgres is away'],
    });
    const second = retaining({ removeUnusedArtifacts: away('the bucket') });
    expect(await retain(second.dependencies)).toMatchObject({
      generationsDropped: 2,
      errors: ['artifacts: the bucket is away'],
    });
  });
});
