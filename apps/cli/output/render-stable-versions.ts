/** The history of stable model versions as people read it. */
import type { StableVersionView } from '@tandem/client/wire';
import type { Paint } from '../command-line/paint.ts';
import { ago, moment } from './quantities.ts';
import { renderTable } from './table.ts';

export function renderStableVersions(versions: readonly StableVersionView[], paint: Paint, now: number): string[] {
  const columns = [
    { title: 'version', align: 'right' as const },
    ...['stable since', 'until', 'age'].map((title) => ({ title })),
    { title: 'kept generation', align: 'right' as const },
  ];
  const rows = versions.map(({ modelVersion, since, until, generation }) => [
    modelVersion,
    moment(since),
    until === null ? paint('good', 'now') : moment(until),
    ago(since, now),
    generation ?? 'none',
  ]);
  return renderTable(columns, rows);
}
