/** Judges one predictor against the database that it would be served from. */
import { maxAgeTooShort } from '@tandem/config/schedule';
import type { PredictorToAdopt } from '@tandem/offline-store/adopt';
import { query } from '@tandem/offline-store/database';
import { explainRange, explainUser, findDuplicateKeys, type PlanReport } from '@tandem/offline-store/feature-check';
import type { Pool } from '../adoption/read-config.ts';
import { type Finding, failed, ok, warning } from '../output/finding.ts';
import { count, duration } from '../output/quantities.ts';

const DUPLICATES_SHOWN = 5;

/** @param isMigrated whether the schema's tables are there, which the plans and the last run need */
export async function checkPredictor(pool: Pool, predictor: PredictorToAdopt, isMigrated: boolean): Promise<Finding[]> {
  const { definition } = predictor;
  const { columns, asOf } = definition.query;
  const inputs = definition.inputs.map(({ name, type }) => `${name} ${type}`).join(', ');
  const outputs = definition.outputs.map(({ name, type }) => `${name} ${type}`).join(', ');
  const findings = [
    ok(
      'query',
      `${columns.length} features, user ids of type ${definition.keyType}${asOf === null ? '' : `, as of ${asOf}`}`,
    ),
    ok('model', `${inputs} → ${outputs}, one and three users tried`),
    await checkKeys(pool, predictor),
  ];
  if (isMigrated) findings.push(...(await checkPlans(pool, predictor)), await checkMaxAge(pool, predictor));
  return findings.map((finding) => ({ ...finding, subject: `${predictor.name} ${finding.subject}` }));
}

async function checkKeys(pool: Pool, { definition }: PredictorToAdopt): Promise<Finding> {
  const duplicates = await findDuplicateKeys(pool, definition.query.sql, DUPLICATES_SHOWN);
  if (duplicates.length === 0) return ok('keys', 'one row a user');
  const named = duplicates.map(({ userId, rows }) => `${userId ?? 'null'} (${count(rows)} rows)`).join(', ');
  const remedy = 'group the query by user_id, or take one row a user: a user with two rows is not scored';
  return failed('keys', `not one row a user: ${named}${duplicates.length === DUPLICATES_SHOWN ? ', …' : ''}`, remedy);
}

async function checkPlans(pool: Pool, { definition, policy }: PredictorToAdopt): Promise<Finding[]> {
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
  const remedy = `create an index on the key there, and keep it free of casts and window functions over everyone\n${plan}`;
  return refuse('plan', `${what}: reads the whole of ${whole}`, remedy);
}

async function checkMaxAge(pool: Pool, { name, policy }: PredictorToAdopt): Promise<Finding> {
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
