/** Measures the cost of an erasure with many predictors: the number of transactions of its deletes, and its time. */
import { createErasureStore } from '@tandem/offline-store/users/erasures';
import { linearModel } from '@tandem/testing/onnx-models';
import { adoptBench, adoptPredictor, FEATURES, FIRST_USER } from '../predictors.ts';
import { median } from '../section.ts';
import type { BenchServers } from '../service.ts';
import type { Law } from './law.ts';
import { storeGeneration } from './stored-generations.ts';

const PREDICTORS = 200;
const GENERATIONS = 3;
const ROWS = 1_000;
const ERASURES = 20;
/** The most transactions that the deletes may take. One transaction deletes from several generations. */
const MOST_TRANSACTIONS = 40;
const MOST_MS = 1_000;

type Pool = BenchServers['pool'];

export const erasure: Law = {
  name: 'erasure',
  promise: `an erasure from ${PREDICTORS} predictors with ${GENERATIONS} generations each takes a bounded number of transactions`,
  async measure(servers, say) {
    const { pool } = servers;
    await adoptBench(servers, ROWS);
    await storeGenerations(pool, 'bench');
    const one = await erase(pool, 0);
    say(`one predictor: ${one.transactions} transactions, ${one.ms.toFixed(1)} ms`);
    await addPredictors(servers);
    say(`${PREDICTORS} predictors: generations`);
    await pool.query('analyze tandem.generations');
    const all = await erase(pool, ERASURES);
    say(`${PREDICTORS} predictors: ${all.transactions} transactions, ${all.ms.toFixed(1)} ms`);
    return [
      { name: 'one predictor: transactions', unit: 'count', value: one.transactions },
      { name: 'one predictor: time', unit: 'ms', value: one.ms },
      {
        ...{ name: `${PREDICTORS} predictors: transactions`, unit: 'count', value: all.transactions },
        target: { most: MOST_TRANSACTIONS },
      },
      { name: `${PREDICTORS} predictors: time`, unit: 'ms', value: all.ms, target: { most: MOST_MS } },
    ];
  },
};

async function storeGenerations(pool: Pool, predictor: string): Promise<void> {
  for (let i = 0; i < GENERATIONS; i++) {
    const { id } = await storeGeneration(pool, { predictor, rows: ROWS, state: 'done' });
    await pool.query(`create unique index on tandem.generation_${id.replaceAll('-', '')} (user_id)`);
  }
}

/** Inserts all predictors as rows in one statement. An adoption of each would have to name all earlier predictors. */
async function addPredictors(servers: BenchServers): Promise<void> {
  const { pool } = servers;
  await adoptPredictor(servers, {
    name: 'more',
    artifact: linearModel({ weights: FEATURES.map(() => 0.5) }),
    users: 1,
  });
  await pool.query(
    `with made as (
        insert into tandem.predictors (name, event_patterns, policy)
        select 'more-' || n, event_patterns, policy from tandem.predictors, generate_series(2, ${PREDICTORS - 1}) n
        where name = 'more' returning name
      ), versions as (
        insert into tandem.model_versions (id, predictor, number, artifact_hash, definition)
        select md5(made.name), made.name, 1, artifact_hash, definition from made, tandem.model_versions where predictor = 'more'
        returning id, predictor
      )
      insert into tandem.arms (predictor, name, model_version_id) select predictor, 'stable', id from versions`,
  );
  const { rows } = await pool.query<{ name: string }>(`select name from tandem.predictors where name like 'more%'`);
  for (const { name } of rows) await storeGenerations(pool, name);
}

/** Returns the medians of `ERASURES` erasures. Each erases another user, who has a row in every generation. */
async function erase(pool: Pool, from: number) {
  const store = createErasureStore(pool);
  const costs: { transactions: number; ms: number }[] = [];
  for (let i = 0; i < ERASURES; i++) {
    const { tombstone } = await store.setTombstone(String(FIRST_USER + from + i));
    const transactions = countTransactions(pool);
    const startedAt = performance.now();
    const { predictions } = await store.deleteRows([tombstone.number]);
    costs.push({ ms: performance.now() - startedAt, transactions: transactions.stop() });
    const { rows } = await pool.query<{ n: number }>(`select count(*)::int as n from tandem.generations`);
    if (predictions !== rows[0]?.n)
      throw new Error(`${predictions} predictions were deleted in ${rows[0]?.n} generations`);
  }
  return { transactions: median(costs.map((one) => one.transactions)), ms: median(costs.map((one) => one.ms)) };
}

/**
 * Counts the connections that the pool lends: one for each transaction and one for each statement outside a
 * transaction.
 */
function countTransactions(pool: Pool) {
  let taken = 0;
  const count = () => void taken++;
  pool.on('acquire', count);
  return {
    stop(): number {
      pool.off('acquire', count);
      return taken;
    },
  };
}
