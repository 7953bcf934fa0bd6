/**
 * Measures certificates and feature reads of 1,000 users in a database with 200 predictors of 3 versions each, whose
 * events concern all predictors. Compares them with the same statements in a database with one predictor.
 */
import { adopt } from '@tandem/offline-store/adopt';
import { createAuthority } from '@tandem/offline-store/certificate/authority';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import { keepVersion } from '@tandem/offline-store/models/model-versions';
import { findModelVersion } from '@tandem/offline-store/models/registry';
import { createVisits, visitsPredictor } from '@tandem/offline-store/store.fixture';
import { type Figure, figureOf } from '../section.ts';
import type { BenchServers } from '../service.ts';
import type { Law } from './law.ts';

type Pool = BenchServers['pool'];

const PREDICTORS = 200;
const VERSIONS = 3;
const USERS = 1_000;
const CONTEXTS = 2_000;
const ROUNDS = 40;
const MOST = 1.5;

export const manyPredictors: Law = {
  name: 'many-predictors',
  promise: `${PREDICTORS} predictors of ${VERSIONS} versions cost a read of ${USERS} users at most ${MOST} × as much as one predictor`,
  async measure({ pool }, say) {
    await createVisits(pool, CONTEXTS);
    const names = Array.from({ length: PREDICTORS }, (_, i) => `predictor_${i}`);
    await adoptAll(pool, names.slice(0, 1));
    await seed(pool);
    const one = await measure(pool);
    say('the same with all predictors');
    await adoptAll(pool, names);
    for (const name of names) await keepVersions(pool, name);
    await seed(pool);
    const all = await measure(pool);
    const figures: Figure[] = [];
    for (const what of ['certificate', 'features', 'packed', 'revision'] as const) {
      const ratio = all[what].map((ms, i) => ms / (one[what][i] ?? Number.NaN));
      const target = what === 'revision' ? undefined : { most: MOST };
      figures.push(figureOf(`${NAMES[what]}, one predictor`, 'ms', one[what]));
      figures.push(figureOf(`${NAMES[what]}, ${PREDICTORS} predictors`, 'ms', all[what]));
      figures.push(figureOf(`${NAMES[what]}, ratio`, 'ratio', ratio, target));
    }
    return figures.map(({ rounds: _rounds, ...figure }) => figure);
  },
};

const NAMES = {
  certificate: 'a certificate',
  features: 'features with a certificate',
  packed: 'features certified by their rows',
  revision: 'the first certificate after a change of arms',
};

function predictorOf(name: string, model = 'a model') {
  return visitsPredictor({ name, model });
}

function adoptAll(pool: Pool, names: readonly string[]) {
  return adopt(pool, { predictors: names.map((name) => predictorOf(name)), actor: 'law' });
}

async function keepVersions(pool: Pool, name: string): Promise<void> {
  for (let n = 2; n <= VERSIONS; n++) {
    const { definition } = visitsPredictor({ name });
    const query = { ...definition.query, sql: `${definition.query.sql} where ${n} > 0` };
    await keepVersion(pool, { definition: { ...definition, query }, origin: { by: 'law', how: 'push' } });
  }
}

/** Inserts an event of each user, which concerns all predictors. */
async function seed(pool: Pool): Promise<void> {
  await pool.query('truncate tandem.user_contexts');
  await pool.query(
    `insert into tandem.events (user_id, type) select n::text, 'x' from generate_series(1, ${CONTEXTS}) n`,
  );
  await pool.query('vacuum analyze tandem.user_contexts');
}

async function measure(pool: Pool) {
  const authority = createAuthority(pool, { timeoutMs: 20_000 });
  const source = createFeatureSource(pool, { usersTimeoutMs: 20_000 });
  const name = 'predictor_0';
  const first = await authority.certify([], name);
  const version = await findModelVersion(pool, first.assignments(name)?.stable.modelVersionId ?? '');
  const times: Record<keyof typeof NAMES, number[]> = { certificate: [], features: [], packed: [], revision: [] };
  const timed = async (what: keyof typeof NAMES, work: () => Promise<unknown>) => {
    const at = performance.now();
    await work();
    times[what].push(performance.now() - at);
  };
  for (let round = 0; round < ROUNDS; round++) {
    const userIds = Array.from({ length: USERS }, (_, i) => `${1 + (((round * 13 + i) * 17) % 20_000)}`);
    await timed('certificate', () => authority.certify(userIds, name));
    await timed('features', () => source.readUsers(version, userIds));
    await timed('packed', () => source.readUsers(version, userIds, 'with rows'));
    if (round % 8 > 0) continue;
    await pool.query('update tandem.settings set revision = revision + 1');
    await timed('revision', () => authority.certify([], name));
    await source.readUsers(version, userIds);
  }
  await authority.close();
  return times;
}
