/**
 * Measures single reads beside bulk reads: one connection reads one user at a time, first alone, then while eight
 * connections read a thousand users each. Every user has a context, and so do a million users that are not read, since the
 * table of contexts decides what a certificate of many users costs. Rounds alternate between the two.
 */
import { createPool } from '@tandem/offline-store/sql/database';
import { type LoadResult, load } from './load.ts';
import { createUserPicker } from './pick-users.ts';
import { adoptBench, FIRST_USER } from './predictors.ts';
import { manyUsers, scoreEveryone } from './reads.ts';
import { type Figure, figureOf, type Section } from './section.ts';
import { type BenchServers, startApi } from './service.ts';
import { readOneByOne } from './single-reads.ts';

const BULK_READERS = 8;
const USERS_A_READ = 1_000;
const OTHER_CONTEXTS = 1_000_000;

interface Round {
  readonly alone: LoadResult;
  readonly beside: LoadResult;
  readonly bulk: LoadResult;
}

export const bulk: Section = {
  name: 'bulk',
  async measure(servers, { users, rounds, seconds }, say) {
    await adoptBench(servers, users);
    await scoreEveryone(servers);
    await createContexts(servers, users + OTHER_CONTEXTS);
    const api = await startApi(servers);
    const pick = createUserPicker(users, 0);
    const host = new URL(api.url).host;
    const reading = { url: api.url, pid: api.pid, seconds };
    const measured: Round[] = [];
    try {
      // Round 0 warms up.
      for (let round = 0; round <= rounds; round++) {
        const alone = await readOneByOne({ ...reading, users });
        const [beside, many] = await Promise.all([
          readOneByOne({ ...reading, users }),
          load({ ...reading, connections: BULK_READERS, next: manyUsers(host, pick, USERS_A_READ) }),
        ]);
        say(
          `round ${round}: alone p99 ${alone.p99Ms.toFixed(1)} ms; beside bulk reads p99 ${beside.p99Ms.toFixed(1)} ms, ${beside.failed} failed; bulk reads ${many.requestsPerSecond.toFixed(1)}/s, p99 ${many.p99Ms.toFixed(0)} ms, ${many.failed} failed`,
        );
        if (round > 0) measured.push({ alone, beside, bulk: many });
      }
    } finally {
      await api.stop();
    }
    return figures(measured);
  },
};

async function createContexts({ env }: BenchServers, contexts: number): Promise<void> {
  const pool = createPool({ url: env.DATABASE_URL, max: 1, applicationName: 'tandem-bench' });
  try {
    await pool.query(
      'insert into tandem.user_contexts (user_id) select n::text from generate_series($1::int, $2::int) n on conflict do nothing',
      [FIRST_USER, FIRST_USER + contexts - 1],
    );
    await pool.query('vacuum analyze tandem.user_contexts');
  } finally {
    await pool.end();
  }
}

function figures(rounds: readonly Round[]): Figure[] {
  const of = (value: (round: Round) => number) => rounds.map(value);
  return [
    figureOf(
      'one user, p99 beside bulk reads / alone',
      'ratio',
      of(({ beside, alone }) => beside.p99Ms / alone.p99Ms),
      { most: 3 },
    ),
    figureOf(
      'one user alone, p99',
      'ms',
      of(({ alone }) => alone.p99Ms),
    ),
    figureOf(
      'one user beside bulk reads, p50',
      'ms',
      of(({ beside }) => beside.p50Ms),
    ),
    figureOf(
      'one user beside bulk reads, p99',
      'ms',
      of(({ beside }) => beside.p99Ms),
    ),
    figureOf(
      'bulk reads of 1,000 users, rate',
      'reads/s',
      of((round) => round.bulk.requestsPerSecond),
    ),
    figureOf(
      'bulk reads of 1,000 users, p99',
      'ms',
      of((round) => round.bulk.p99Ms),
    ),
    figureOf(
      'failed reads',
      'count',
      of((round) => round.beside.failed + round.bulk.failed),
      { most: 0 },
    ),
  ];
}
