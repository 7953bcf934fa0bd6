/**
 * Measures the cost of a watch for the application that changes the table. Statements of several sizes run on a plain
 * table and on a watched table, one after the other in each round. Each statement is a transaction of its own and
 * changes every row that it touches. Inserts go to a child table whose key looks up the user in the watched table.
 */
import { watchSource } from '@tandem/offline-store/sources/watch-source';
import { linearModel } from '@tandem/testing/onnx-models';
import { adoptPredictor, FEATURES, FIRST_USER } from './predictors.ts';
import { type Figure, figureOf, type Section } from './section.ts';
import type { BenchServers } from './service.ts';

const PLAIN = 'plain';
const WATCHED = 'watched';
type Name = typeof PLAIN | typeof WATCHED;

interface Statement {
  readonly what: string;
  readonly rows: number;
  /**
   * The changed column: `f2` is indexed, as `updated_at` often is; `f1` is not. Else the rows are inserted as children
   * of users, or as orphans, whose foreign key is null.
   */
  readonly column: 'f1' | 'f2' | 'child' | 'orphan';
  readonly times: number;
  readonly most?: number;
  /** The target of the difference between the two 99th percentiles, in milliseconds. */
  readonly mostP99Ms?: number;
}

const STATEMENTS: readonly Statement[] = [
  { what: 'update of one row', rows: 1, column: 'f1', times: 300 },
  { what: 'update of 5,000 rows', rows: 5_000, column: 'f1', times: 5, most: 3 },
  { what: 'the same, an indexed column', rows: 5_000, column: 'f2', times: 5, most: 3 },
  { what: 'insert of one row, key looked up', rows: 1, column: 'child', times: 300, most: 3 },
  { what: 'insert of one row without a parent', rows: 1, column: 'orphan', times: 1_000, most: 3, mostP99Ms: 1 },
  { what: 'insert of 5,000 rows, key looked up', rows: 5_000, column: 'child', times: 3, most: 3 },
  // With so many users, a watch raises the source version instead of each user's context version.
  { what: 'update of 50,000 rows, in bulk', rows: 50_000, column: 'f1', times: 1, most: 3 },
];

export const watched: Section = {
  name: 'watched',
  async measure(servers, { users, rounds }, say) {
    const artifact = linearModel({ weights: FEATURES.map((_, i) => (i - 6) / 10) });
    for (const name of [PLAIN, WATCHED] as const) {
      await adoptPredictor(servers, { name, artifact, users });
      await servers.pool.query(`create index on ${tableOf(name)} (f2);
        create table ${childrenOf(name)} (parent bigint references ${tableOf(name)}, n int)`);
    }
    const watch = { table: tableOf(WATCHED), key: 'user_id', columns: null, predictors: [WATCHED], actor: 'bench' };
    await watchSource(servers.pool, watch);
    const lookup = `(select p.user_id from public.${tableOf(WATCHED)} p where p.user_id = changed.parent)`;
    await watchSource(servers.pool, { ...watch, table: childrenOf(WATCHED), key: lookup });
    const figures: Figure[] = [];
    for (const statement of STATEMENTS) figures.push(...(await measureOne(servers, statement, rounds, say)));
    return figures;
  },
};

async function measureOne(servers: BenchServers, statement: Statement, rounds: number, say: (line: string) => void) {
  const { what, most, mostP99Ms } = statement;
  const means: Record<Name, number[]> = { [PLAIN]: [], [WATCHED]: [] };
  const p99s: Record<Name, number[]> = { [PLAIN]: [], [WATCHED]: [] };
  // Round 0 warms up.
  for (let round = 0; round <= rounds; round++) {
    const times: Record<Name, number[]> = { [PLAIN]: [], [WATCHED]: [] };
    for (let i = 0; i < statement.times; i++) {
      for (const name of [PLAIN, WATCHED] as const) times[name].push(await timeOf(servers, name, statement, i));
    }
    await tidy(servers);
    if (round === 0) continue;
    for (const name of [PLAIN, WATCHED] as const) {
      means[name].push(meanOf(times[name]));
      p99s[name].push(p99Of(times[name]));
    }
    say(
      `round ${round}: ${what}: plain ${meanOf(times[PLAIN]).toFixed(2)} ms, watched ${meanOf(times[WATCHED]).toFixed(2)} ms`,
    );
  }
  const ratios = means[WATCHED].map((ms, i) => ms / (means[PLAIN][i] ?? Number.NaN));
  const more = p99s[WATCHED].map((ms, i) => ms - (p99s[PLAIN][i] ?? Number.NaN));
  return [
    figureOf(`${what}, watched / plain`, 'ratio', ratios, most === undefined ? undefined : { most }),
    figureOf(`${what}, watched`, 'ms', means[WATCHED]),
    ...(mostP99Ms === undefined
      ? []
      : [
          figureOf(`${what}, p99 plain`, 'ms', p99s[PLAIN]),
          figureOf(`${what}, p99 watched - plain`, 'ms', more, { most: mostP99Ms }),
        ]),
  ];
}

function meanOf(times: readonly number[]): number {
  return times.reduce((sum, ms) => sum + ms, 0) / times.length;
}

function p99Of(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1] ?? Number.NaN;
}

/** Times one statement, in milliseconds. */
async function timeOf({ pool }: BenchServers, name: Name, { rows, column }: Statement, i: number): Promise<number> {
  const first = FIRST_USER + (rows === 1 ? i : 0);
  const parent = column === 'orphan' ? 'null::bigint' : 'n';
  const text =
    column === 'f1' || column === 'f2'
      ? `update ${tableOf(name)} set ${column} = ${column} + 1 where user_id between $1 and $2`
      : `insert into ${childrenOf(name)} select ${parent}, 1 from generate_series($1::bigint, $2) n`;
  const startedAt = performance.now();
  await pool.query({ text, values: [first, first + rows - 1] });
  return performance.now() - startedAt;
}

/** Vacuums the tables, as autovacuum would, and empties the outbox, as a worker would. */
async function tidy({ pool }: BenchServers): Promise<void> {
  for (const table of [tableOf(PLAIN), tableOf(WATCHED), 'tandem.user_contexts', 'tandem.source_changes'])
    await pool.query(`vacuum ${table}`);
  await pool.query('truncate tandem.outbox');
}

function childrenOf(name: Name): string {
  return `${name}_children`;
}

function tableOf(name: Name): string {
  return `${name}_features`;
}
