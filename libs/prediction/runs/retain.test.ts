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
    expire: async () => 7,
    ...changes,
  };
  return { dependencies, said };
}

describe('retention', () => {
  it('forgets in Redis what was dropped in Postgres, then sweeps by the list of what is kept', async () => {
    const { dependencies, said } = retaining();
    expect(await retain(dependencies)).toEqual({ generationsDropped: 2, rowsExpired: 7, errors: [] });
    expect(said).toEqual(['forget g1', 'forget g2', 'sweep but g3']);
  });

  it('does one step though the other fails, and names it', async () => {
    const away = (what: string) => () => Promise.reject(new Error(`${what} is away`));
    const first = retaining({ generations: { dropRetired: away('Postgres') } });
    expect(await retain(first.dependencies)).toEqual({
      generationsDropped: 0,
      rowsExpired: 7,
      errors: ['retention: Postgres is away'],
    });
    const second = retaining({ expire: away('Postgres') });
    expect(await retain(second.dependencies)).toMatchObject({
      generationsDropped: 2,
      errors: ['expiry: Postgres is away'],
    });
  });
});
