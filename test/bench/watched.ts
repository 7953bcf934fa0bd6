/**
 * What a watch costs the application that changes the table: statements of a few sizes on a plain table and on one that is
 * watched, in rounds that alternate. Each statement is a transaction of its own; every row it touches really changes.
 */
import { watchSource } from '@tandem/offline-store/watch-source';
import { linearModel } from '@tandem/testing/onnx-models';
import { adoptPredictor, FEATURES, FIRST_USER } from './predictors.ts';
import { type Figure, figureOf, type Section } from './section.ts';
import type { BenchServers } from './service.ts';

const WATCHED = 'watched';
const PLAIN = 'plain';
/** Of the statements with one row, whose time is small beside that of a round trip. */
const SINGLE_UPDATES = 300;
const ROWS = 5_000;
/** More than a watch raises one by one. */
const BULK_ROWS = 50_000;

export const watched: Section = {
  name: 'watched',
  async measure(servers, { users, rounds }, say) {
    const artifact = linearModel({ weights: FEATURES.map((_, i) => (i - 6) / 10) });
    for (const name of [WATCHED, PLAIN]) await adoptPredictor(servers, { name, artifact, users });
    const watch = { table: tableOf(WATCHED), key: 'user_id', columns: null, predictors: [WATCHED], actor: 'bench' };
    await watchSource(servers.pool, watch);
    const times = { one: timesOf(), rows: timesOf(), bulk: timesOf() };
    // Round 0 warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const name of [PLAIN, WATCHED] as const) {
        const took = {
          one: await timeOfSingles(servers, name, round),
          rows: await timeOf(servers, name, Math.min(ROWS, users)),
          bulk: await timeOf(servers, name, Math.min(BULK_ROWS, users)),
        };
        // As autovacuum and a worker leave them.
        for (const text of [`vacuum ${tableOf(name)}`, 'vacuum tandem.user_contexts', 'truncate tandem.outbox']) {
          await servers.pool.query(text);
        }
        if (round > 0) for (const size of ['one', 'rows', 'bulk'] as const) times[size][name].push(took[size]);
        say(
          `round ${round}: ${name.padEnd(7)} one ${took.one.toFixed(2)} ms   ${ROWS} ${took.rows.toFixed(0)} ms   ${BULK_ROWS} ${took.bulk.toFixed(0)} ms`,
        );
      }
    }
    return [
      ...figures('update of one row', times.one),
      ...figures(`update of ${ROWS.toLocaleString('en')} rows, a user each`, times.rows, 3),
      ...figures(`update of ${BULK_ROWS.toLocaleString('en')} rows, in bulk`, times.bulk),
    ];
  },
};

type Times = Record<typeof WATCHED | typeof PLAIN, number[]>;

function timesOf(): Times {
  return { [WATCHED]: [], [PLAIN]: [] };
}

function tableOf(name: string): string {
  return `${name}_features`;
}

/** Milliseconds of an update of so many rows. */
async function timeOf({ pool }: BenchServers, name: string, rows: number): Promise<number> {
  const startedAt = performance.now();
  await pool.query(`update ${tableOf(name)} set f1 = f1 + 1 where user_id < ${FIRST_USER + rows}`);
  return performance.now() - startedAt;
}

/** Mean milliseconds of an update of one row. */
async function timeOfSingles({ pool }: BenchServers, name: string, round: number): Promise<number> {
  const startedAt = performance.now();
  for (let i = 0; i < SINGLE_UPDATES; i++) {
    await pool.query({
      text: `update ${tableOf(name)} set f1 = f1 + 1 where user_id = $1`,
      values: [FIRST_USER + ((round * SINGLE_UPDATES + i) % ROWS)],
    });
  }
  return (performance.now() - startedAt) / SINGLE_UPDATES;
}

function figures(what: string, { watched: with_, plain }: Times, most?: number): Figure[] {
  const ratios = with_.map((ms, i) => ms / (plain[i] ?? Number.NaN));
  return [
    figureOf(`${what}, watched / plain`, 'ratio', ratios, most === undefined ? undefined : { most }),
    figureOf(`${what}, watched`, 'ms', with_),
  ];
}
