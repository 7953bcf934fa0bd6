/** Renders the result of each combination as a table. */
import type { Combination } from './combinations.ts';
import type { Tally } from './tally.ts';

export interface Versions {
  readonly node: string;
  /** The version, or null if the tests started the server themselves. */
  readonly postgres: string | null;
  readonly redis: string | null;
}

export type Outcome =
  | ({
      readonly kind: 'run';
      readonly name: string;
      readonly place: Combination['place'];
      readonly versions: Versions;
      readonly seconds: number;
    } & Tally)
  | { readonly kind: 'skipped'; readonly name: string; readonly why: string };

const HEADS = ['combination', 'Node', 'Postgres', 'Redis', 'place', 'passed', 'failed', 'seconds'];

/** Renders one line per combination, and a last line with the counts. */
export function renderTable(outcomes: readonly Outcome[]): string {
  const rows = [HEADS, ...outcomes.flatMap((one) => (one.kind === 'run' ? [cellsOf(one)] : []))];
  const widths = HEADS.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const lines = rows.map((cells) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const skipped = outcomes.flatMap((one) => (one.kind === 'skipped' ? [`${one.name}  SKIPPED: ${one.why}`] : []));
  return [...lines, ...skipped, countsOf(outcomes)].join('\n');
}

function cellsOf({ name, versions, place, passed, failed, seconds }: Outcome & { kind: 'run' }): string[] {
  const { node, postgres, redis } = versions;
  const servers = [postgres ?? 'embedded', redis ?? 'embedded'];
  return [name, node, ...servers, place, `${passed}`, `${failed}`, `${Math.round(seconds)}`];
}

function countsOf(outcomes: readonly Outcome[]): string {
  const count = (is: (one: Outcome) => boolean) => outcomes.filter(is).length;
  const good = count((one) => one.kind === 'run' && one.failed === 0);
  const bad = count((one) => one.kind === 'run' && one.failed > 0);
  return `combinations: ${good} passed, ${bad} failed, ${count(({ kind }) => kind === 'skipped')} skipped`;
}
