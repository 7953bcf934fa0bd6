/** Generations as people read them. */
import type { GenerationView } from '@tandem/client/wire';
import type { Paint } from '../command-line/paint.ts';
import { ago, count, moment } from '../output/quantities.ts';
import { renderTable } from '../output/table.ts';

export function renderGenerations(generations: readonly GenerationView[], paint: Paint, now: number): string[] {
  if (generations.length === 0) return ['no generation yet; make one: tandem run start <predictor>'];
  const columns = [
    { title: 'generation', align: 'right' as const },
    { title: 'state' },
    { title: 'model', align: 'right' as const },
    { title: 'users', align: 'right' as const },
    ...['published', 'age', 'run'].map((title) => ({ title })),
  ];
  const rows = generations.map(({ generation, state, inForce, modelVersion, users, publishedAt, runId }) => [
    generation,
    inForce ? paint('good', 'in force') : state,
    modelVersion,
    count(users),
    moment(publishedAt),
    publishedAt === null ? '' : ago(publishedAt, now),
    runId,
  ]);
  return renderTable(columns, rows);
}
