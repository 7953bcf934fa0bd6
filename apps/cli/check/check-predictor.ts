/** Judges one predictor with the database that would serve it. */
import { namingUser } from '@tandem/admission/find-failing-user';
import { type CheckedPredictor, settingProblem } from '@tandem/admission/judge-predictor';
import { type ReportProgress, reportNothing } from '@tandem/admission/report-progress';
import type { Pool } from '@tandem/admission/sample-users';
import { isTooSlow } from '@tandem/admission/slow-statement';
import { maxAgeTooShort } from '@tandem/config/predictor/schedule';
import { isTandemError, type TandemError } from '@tandem/freshness/errors';
import { modelVersionId } from '@tandem/freshness/predictor';
import type { KeyType } from '@tandem/freshness/user-id';
import {
  explainRange,
  explainUser,
  findDuplicateKeys,
  type PlanReport,
} from '@tandem/offline-store/features/feature-check';
import { KEY_SQL } from '@tandem/offline-store/features/feature-statement';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import { checkWatchable } from '@tandem/offline-store/sources/watch-source';
import { listDeclaredWatches, listWatchedSources, resolveWatches } from '@tandem/offline-store/sources/watched-sources';
import { query } from '@tandem/offline-store/sql/database';
import { isOfSomeUser } from '@tandem/prediction/scoring/feature-source';
import type { Databases } from '../command-line/environment.ts';
import { type Finding, failed, ok, warning } from '../output/finding.ts';
import { count, counted, duration } from '../output/text.ts';
import { describeSources } from '../sources/describe-sources.ts';
import { watchRequests } from '../sources/watch-table.ts';
import { countUnscorable, type UnscorableUsers, type UnscorableValue } from './count-unscorable.ts';
import { describeModel } from './describe-model.ts';
import { indexStatement, type KeyOfTable } from './index-statement.ts';

const DUPLICATES_SHOWN = 5;
/** Time limit in ms for reading the ids of all users, when check looks for a user that makes the query fail. */
const KEYS_MS = 10_000;

/**
 * Returns the findings on a predictor.
 * @param isMigrated whether the tables of the schema exist, which the plans and the last run need
 * @param memoryLimitMb the memory limit of the process that tried the model
 */
export async function checkPredictor(
  { pool, features }: Databases,
  predictor: CheckedPredictor,
  isMigrated: boolean,
  memoryLimitMb: number,
  reportProgress: ReportProgress = reportNothing,
): Promise<Finding[]> {
  const { definition, name } = predictor;
  const { columns, asOf } = definition.query;
  const findings = [
    ok(
      'query',
      `${counted(columns.length, 'feature')}, user ids of type ${KEY_SQL[definition.keyType]}${asOf === null ? '' : `, as of ${asOf}`}`,
    ),
    ...predictor.padded.map(paddedFinding),
    ...describeModel(predictor, memoryLimitMb),
    await reportProgress(`looking for users of ${name} with two rows`, () =>
      inTime(name, 'keys', 'whether each user has one row', () => checkKeys(features, predictor)),
    ),
    ...(isMigrated ? await checkKeyType(pool, predictor) : []),
    await reportProgress(`counting users of ${name} who cannot be scored`, () =>
      inTime(name, 'users', 'the number of users, and whether each can be scored,', () =>
        checkUsers({ pool, features }, predictor, isMigrated),
      ),
    ),
  ];
  if (isMigrated) {
    const plans = reportProgress(`reading the plans of ${name}`, () =>
      inTime(name, 'plan', 'the plan of a read of one user', () => checkPlans({ pool, features }, predictor)),
    );
    findings.push(
      ...[await plans].flat(),
      await checkMaxAge(pool, predictor),
      ...checkBudget(predictor),
      ...(await checkSources({ pool, features }, predictor)),
    );
  }
  return findings.map((finding) => ({ ...finding, subject: `${predictor.name} ${finding.subject}` }));
}

function paddedFinding({ name, type }: CheckedPredictor['padded'][number]): Finding {
  const text = `column ${name} has type ${type}, which pads texts with blanks, so the model gets padded texts`;
  return warning('query', text, `cast the column, which removes the blanks: ${name}::text as ${name}`);
}

/** Returns the findings of the work, or one finding if the query failed or took too long. */
async function inTime<T>(name: string, subject: string, what: string, work: () => Promise<T>): Promise<T | Finding> {
  const begin = performance.now();
  try {
    return await work();
  } catch (error) {
    const problem = settingProblem(name, error);
    if (problem)
      return failed(subject, `${what} could not be checked: ${problem.problem} (${problem.path})`, problem.remedy);
    if (!isTooSlow(error)) throw error;
    const remedy = 'make the query faster, because each run reads all users: add indexes or a materialized view';
    return warning(subject, `${what} could not be checked within ${duration(performance.now() - begin)}`, remedy);
  }
}

async function checkKeys(pool: Pool, { definition }: CheckedPredictor): Promise<Finding> {
  const duplicates = await findDuplicateKeys(pool, definition.query.sql, DUPLICATES_SHOWN);
  if (duplicates.length === 0) return ok('keys', 'one row for each user');
  const named = duplicates.map(({ userId, rows }) => `${userId ?? 'null'} (${count(rows)} rows)`).join(', ');
  const remedy =
    'group the query by user_id, or select one row for each user (a user with two rows is not scored), and no row with a null key';
  return failed(
    'keys',
    `not one row for each user: ${named}${duplicates.length === DUPLICATES_SHOWN ? ', …' : ''}`,
    remedy,
  );
}

/** Checks the user-ID type: a database supports one type, that of the users with events. */
async function checkKeyType(pool: Pool, { definition: { keyType } }: CheckedPredictor): Promise<Finding[]> {
  const [other] = await query<{ known: KeyType }>(pool, {
    text: `select key_type as known from tandem.settings
      where key_type <> $1 and exists (select from tandem.user_contexts)`,
    values: [keyType],
  });
  if (other === undefined) return [];
  const remedy = `use another database (another folder, for the servers of tandem up), or cast user_id to ${KEY_SQL[other.known]}`;
  return [
    failed(
      'keys',
      `this database has events of users with ids of type ${KEY_SQL[other.known]}, but the ids of this query are ${KEY_SQL[keyType]}`,
      remedy,
    ),
  ];
}

const REASONS: Readonly<Record<UnscorableValue, string>> = {
  null: 'null',
  unknown: 'a text outside the categories',
  not_finite: 'NaN or infinite',
  too_long: 'a text of more than 1 MiB',
};

function remedyOf({ column, reason }: UnscorableUsers['reasons'][number]): string {
  switch (reason) {
    case 'null':
      return 'set features.nulls to the value that training used for a null';
    case 'unknown':
      return 'set unknown of features.categories to the value for texts outside the categories';
    case 'too_long':
      return `shorten it in the query: left(${column}, 10000) as ${column}`;
    case 'not_finite':
      return `turn NaN into null in the query, nullif(${column}, 'NaN') as ${column}, and set its value in features.nulls`;
  }
}

async function checkUsers(
  { pool, features }: Databases,
  { name, definition, policy, verification }: CheckedPredictor,
  isMigrated: boolean,
): Promise<Finding> {
  const counted = countUnscorable(features, definition.query);
  const { users, unscorable, reasons } = await counted.catch((error: unknown) =>
    throwNamingUser(features, definition, error),
  );
  if (users === 0) return judgeEmpty(isMigrated && (await isServedFromStore(pool, name)));
  if (unscorable === 0)
    return ok('users', `${count(users)}, all with the required values; ${triedText(verification, users)}`);
  const why = reasons.map((one) => `${one.column} is ${REASONS[one.reason]} (${count(one.users)})`).join(', ');
  const text = `${count(unscorable)} of ${count(users)} cannot be scored: ${why}`;
  const remedy = [...new Set(reasons.map(remedyOf)), 'or exclude such rows in the query'].join('; ');
  const isTooFew = 1 - unscorable / users < policy.batch.minCoverage;
  const refusal = `; a run is published only if ${policy.batch.minCoverage * 100} % of the users are scored (batch.minCoverage)`;
  return isTooFew ? failed('users', `${text}${refusal}`, remedy) : warning('users', text, remedy);
}

/** A new product may have no users yet. For a predictor with served predictions, it is an error. */
function judgeEmpty(isServed: boolean): Finding {
  const [text, remedy] = ['the feature query returns no user', 'check that its tables have rows'];
  if (!isServed) return warning('users', text, remedy);
  return failed('users', `${text}, but this predictor is served: all its users would become unknown`, remedy);
}

/** Returns whether the predictor is served and predictions of any of its model versions are stored. */
async function isServedFromStore(pool: Pool, name: string): Promise<boolean> {
  const text = `select from tandem.predictors p where name = $1 and active
    and exists (select from tandem.generations g where g.predictor = p.name and g.state = 'published')`;
  return (await query(pool, { text, values: [name] })).length > 0;
}

async function throwNamingUser(pool: Pool, definition: CheckedPredictor['definition'], error: unknown): Promise<never> {
  if (!isOfSomeUser(error)) throw error;
  const version = { ...definition, id: modelVersionId(definition), number: 0 };
  const allUsers = { from: null, to: null };
  const userIds = await createFeatureSource(pool, { rangeTimeoutMs: KEYS_MS })
    .usersOf(version, allUsers)
    .catch(() => []);
  throw await namingUser(pool, definition, userIds, error);
}

/** Renders how many of the users the trial ran on: `64 of 200 tried on the model`. */
function triedText({ parity }: CheckedPredictor['verification'], users: number): string {
  return `${count(parity.users.real + parity.refused.real)} of ${count(users)} tried on the model`;
}

async function checkPlans({ pool, features }: Databases, predictor: CheckedPredictor): Promise<Finding[]> {
  const { definition, policy } = predictor;
  const [one, range] = [await explainUser(features, definition), await explainRange(features, definition)];
  const watches = await resolveWatches(pool, predictor.name, watchRequests(predictor));
  return [
    judgePlan('one user', one, watches, policy.freshness.live ? failed : warning),
    // A run reads each user once. Without an index it reads all users once for each chunk.
    judgePlan('a chunk', range, watches, warning),
  ];
}

function judgePlan(
  what: string,
  { scans, plan }: PlanReport,
  watches: readonly KeyOfTable[],
  refuse: typeof failed,
): Finding {
  if (scans.length === 0) return ok('plan', `${what}: by index`);
  const whole = scans.map(({ relation, rows }) => `${relation} (${count(Math.round(rows))} rows)`).join(', ');
  const names = scans.map(({ relation }) => relation.split('.').at(-1) ?? '');
  const remedy = `create an index on the key of that table, or on the expression that computes user_id: ${indexStatement(scans, watches)}. A window function over all users cannot use an index. The plan has
${scanSteps(plan, names)}`;
  return refuse('plan', `${what}: reads the whole of ${whole}`, remedy);
}

async function checkMaxAge(pool: Pool, { name, policy }: CheckedPredictor): Promise<Finding> {
  const [last] = await query<{ ms: number }>(pool, {
    text: `select (extract(epoch from finished_at - started_at) * 1000)::float8 as ms from tandem.runs
      where predictor = $1 and scope = 'all' and budget is null and state in ('done', 'done_with_errors') order by finished_at desc limit 1`,
    values: [name],
  });
  const problem = maxAgeTooShort(policy, last?.ms ?? 0);
  if (problem !== null) return failed('maxAge', problem, 'raise freshness.maxAge, or run more often: batch.schedule');
  const { maxAgeMs } = policy.freshness;
  const age = maxAgeMs === null ? 'never expires' : `maxAge ${duration(maxAgeMs)}`;
  const run = last === undefined ? 'no run yet' : `the last run took ${duration(last.ms)}`;
  const { schedule, changedSchedule } = policy.batch;
  const changed = changedSchedule === undefined ? '' : `, of changed users ${changedSchedule}`;
  return ok('times', `${age}, schedule ${schedule ?? 'none'}${changed}, ${run}`);
}

/**
 * Warns if a budget limits every scheduled run. Predictions of users who are not read are then kept until the base is
 * 40 days old.
 */
export function checkBudget({ policy }: Pick<CheckedPredictor, 'policy'>): readonly Finding[] {
  const { budget, changedSchedule } = policy.batch;
  if (budget === undefined || changedSchedule !== undefined || policy.freshness.maxAgeMs !== null) return [];
  const text =
    'batch.budget limits every scheduled run: users who are not read keep their predictions for up to 40 days';
  return [
    warning(
      'budget',
      text,
      'schedule runs of all users, batch.schedule: { everyone, changed }, or set freshness.maxAge',
    ),
  ];
}

/**
 * Returns findings on the tables that the query reads: whether they are watched, and whether the tables that the config
 * names can be watched. Requires the schema of this release.
 */
async function checkSources({ pool, features }: Databases, predictor: CheckedPredictor): Promise<Finding[]> {
  const requests = watchRequests(predictor);
  const query = { name: predictor.name, sql: predictor.definition.query.sql };
  const findings = await describeSources(features, query, {
    watched: await listWatchedSources(pool),
    adopted: await listDeclaredWatches(pool),
    next: await resolveWatches(pool, predictor.name, requests),
  });
  for (const request of requests) {
    const refusal = await checkWatchable(pool, request).then(() => null, asTandemError);
    if (refusal) {
      findings.push(failed('sources', `${request.table} cannot be watched: ${refusal.message}`, refusal.remedy ?? ''));
    }
  }
  return findings;
}

function asTandemError(error: unknown): TandemError {
  if (isTandemError(error, 'config_invalid')) return error;
  throw error;
}

/** Returns the steps of an EXPLAIN plan that read these relations, each with its lines. */
export function scanSteps(plan: string, relations: readonly string[]): string {
  const lines = plan.split('\n');
  const steps = lines.flatMap((line, i) => {
    const isNamed = relations.some((name) => line.includes(` on ${name} `) || line.includes(` on "${name}" `));
    if (!isNamed || !/ Scan /.test(line)) return [];
    const rest = lines.slice(i + 1);
    const end = rest.findIndex((next) => next.includes('->'));
    const details = rest.slice(0, end < 0 ? rest.length : end).map((detail) => `  ${detail.trim()}`);
    return [line.trim().replace(/^-> +/, ''), ...details];
  });
  return steps.join('\n');
}
