/** Judges one predictor against the database that it would be served from. */
import { maxAgeTooShort } from '@tandem/config/schedule';
import { query } from '@tandem/offline-store/database';
import { explainRange, explainUser, findDuplicateKeys, type PlanReport } from '@tandem/offline-store/feature-check';
import type { CheckedPredictor, Pool } from '../adoption/read-config.ts';
import { type Finding, failed, ok, warning } from '../output/finding.ts';
import { count, duration } from '../output/quantities.ts';
import { countUnscorable, type UnscorableValue } from './count-unscorable.ts';
import { describeModel } from './describe-model.ts';
import { scanSteps } from './scan-steps.ts';

const DUPLICATES_SHOWN = 5;

/**
 * @param isMigrated whether the schema's tables are there, which the plans and the last run need
 * @param memoryLimitMb of the process that the model was tried in
 */
export async function checkPredictor(
  pool: Pool,
  predictor: CheckedPredictor,
  isMigrated: boolean,
  memoryLimitMb: number,
): Promise<Finding[]> {
  const { definition } = predictor;
  const { columns, asOf } = definition.query;
  const findings = [
    ok(
      'query',
      `${count(columns.length)} features, user ids of type ${definition.keyType}${asOf === null ? '' : `, as of ${asOf}`}`,
    ),
    ...describeModel(predictor, memoryLimitMb),
    await checkKeys(pool, predictor),
    ...(isMigrated ? await checkKeyType(pool, predictor) : []),
    await checkUsers(pool, predictor),
  ];
  if (isMigrated) findings.push(...(await checkPlans(pool, predictor)), await checkMaxAge(pool, predictor));
  return findings.map((finding) => ({ ...finding, subject: `${predictor.name} ${finding.subject}` }));
}

async function checkKeys(pool: Pool, { definition }: CheckedPredictor): Promise<Finding> {
  const duplicates = await findDuplicateKeys(pool, definition.query.sql, DUPLICATES_SHOWN);
  if (duplicates.length === 0) return ok('keys', 'one row a user');
  const named = duplicates.map(({ userId, rows }) => `${userId ?? 'null'} (${count(rows)} rows)`).join(', ');
  const remedy =
    'group the query by user_id, or take one row a user (a user with two is not scored), and none whose key is null';
  return failed('keys', `not one row a user: ${named}${duplicates.length === DUPLICATES_SHOWN ? ', …' : ''}`, remedy);
}

/** Users whose events are kept have ids of one type in a database. */
async function checkKeyType(pool: Pool, { definition: { keyType } }: CheckedPredictor): Promise<Finding[]> {
  const [other] = await query<{ known: string }>(pool, {
    text: `select key_type as known from tandem.settings
      where key_type <> $1 and exists (select from tandem.user_contexts)`,
    values: [keyType],
  });
  if (other === undefined) return [];
  const remedy = `use another database (another folder, for the servers of tandem up), or cast user_id to ${other.known}`;
  return [
    failed('keys', `events of users with ids of type ${other.known} are kept here, and these are ${keyType}`, remedy),
  ];
}

const REASONS: Readonly<Record<UnscorableValue, string>> = {
  null: 'null',
  unknown: 'a text that is no category',
  not_finite: 'NaN or infinite',
};

async function checkUsers(pool: Pool, { definition, policy }: CheckedPredictor): Promise<Finding> {
  const { users, unscorable, reasons } = await countUnscorable(pool, definition.query);
  if (users === 0) return warning('users', 'the feature query gives none', 'see that its tables hold rows');
  if (unscorable === 0) return ok('users', `${count(users)}, all of whom can be scored`);
  const why = reasons.map((one) => `${one.column} is ${REASONS[one.reason]} (${count(one.users)})`).join(', ');
  const text = `${count(unscorable)} of ${count(users)} cannot be scored: ${why}`;
  const remedy =
    "say in features.nulls (or unknown, of features.categories) what the model was trained with in their place, of a NaN once it is a null: nullif(…, 'NaN'); or leave such rows out of the query";
  const isTooFew = 1 - unscorable / users < policy.batch.minCoverage;
  const refusal = `; a run is published only where ${policy.batch.minCoverage * 100} % are (batch.minCoverage)`;
  return isTooFew ? failed('users', `${text}${refusal}`, remedy) : warning('users', text, remedy);
}

async function checkPlans(pool: Pool, { definition, policy }: CheckedPredictor): Promise<Finding[]> {
  const [one, range] = [await explainUser(pool, definition), await explainRange(pool, definition)];
  return [
    judgePlan('one user', one, policy.freshness.live ? failed : warning),
    // A run reads everybody once; without an index it reads them once a chunk.
    judgePlan('a chunk', range, warning),
  ];
}

function judgePlan(what: string, { scans, plan }: PlanReport, refuse: typeof failed): Finding {
  if (scans.length === 0) return ok('plan', `${what}: by index`);
  const whole = scans.map(({ relation, rows }) => `${relation} (${count(Math.round(rows))} rows)`).join(', ');
  const names = scans.map(({ relation }) => relation.split('.').at(-1) ?? '');
  const index = `create index on ${scans[0]?.relation} (…)`;
  const remedy = `create an index on the key there, or on the expression that makes user_id of it: ${index}. A window function over everyone can use none. The plan has
${scanSteps(plan, names)}`;
  return refuse('plan', `${what}: reads the whole of ${whole}`, remedy);
}

async function checkMaxAge(pool: Pool, { name, policy }: CheckedPredictor): Promise<Finding> {
  const [last] = await query<{ ms: number }>(pool, {
    text: `select (extract(epoch from finished_at - started_at) * 1000)::float8 as ms from tandem.runs
      where predictor = $1 and scope = 'all' and state in ('done', 'done_with_errors') order by finished_at desc limit 1`,
    values: [name],
  });
  const problem = maxAgeTooShort(policy, last?.ms ?? 0);
  if (problem !== null) return failed('maxAge', problem, 'raise freshness.maxAge, or run more often: batch.schedule');
  const { maxAgeMs } = policy.freshness;
  const age = maxAgeMs === null ? 'never expires' : `maxAge ${duration(maxAgeMs)}`;
  const run = last === undefined ? 'no run yet' : `the last run took ${duration(last.ms)}`;
  return ok('times', `${age}, schedule ${policy.batch.schedule ?? 'none'}, ${run}`);
}
