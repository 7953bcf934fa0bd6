import { describe, expect, it } from 'vitest';
import { type RetainDependencies, retain } from './retain.ts';
import { generationOf } from './run.fixture.ts';

function retaining(changes: Partial<RetainDependencies> = {}) {
  const said: string[] = [];
  const dependencies: RetainDependencies = {
    generations: { dropRetired: async () => [generationOf('g1'), generationOf('g2')] },
    sweeper: {
      forget: async ({ id }) => void said.push(`forget ${id}`),
      async sweep(listKept) {
        said.push(`sweep but ${await listKept()}`);
        return { generations: [], keys: 0 };
      },
    },
    listGenerations: async () => ['g3'],
    ...changes,
  };
  return { dependencies, said };
}

describe('retention', () => {
  it('forgets in Redis what was dropped in Postgres, then sweeps by the list of what is kept', async () => {
    const { dependencies, said } = retaining();
    expect(await retain(dependencies)).toEqual({ generationsDropped: 2, errors: [] });
    expect(said).toEqual(['forget g1', 'forget g2', 'sweep but g3']);
  });

  it('names what failed', async () => {
    const { dependencies } = retaining({
      generations: { dropRetired: () => Promise.reject(new Error('Postgres is away')) },
    });
    expect(await retain(dependencies)).toEqual({ generationsDropped: 0, errors: ['retention: Postgres is away'] });
  });
});
