/**
 * Judges the predictors of a config with the database that would serve them. `check` shows the findings, and `adopt`
 * rejects a config with errors.
 */
import { namingUser } from '@tandem/admission/find-failing-user';
import { type CheckedPredictor, settingProblem } from '@tandem/admission/judge-predictor';
import { type ReportProgress, reportNothing } from '@tandem/admission/report-progress';
import type { Pool } from '@tandem/admission/sample-users';
import { isTooSlow } from '@tandem/admission/slow-statement';
import { versionOf } from '@tandem/admission/with-scorer';
import type { Databases } from '@tandem/commands/environment';
import { type Finding, failed, ofPredictor, ok, type Subject, warning } from '@tandem/commands/output/finding';
import { count, counted, duration } from '@tandem/commands/output/text';
import { maxAgeTooShort } from '@tandem/config/predictor/schedule';
import { isTandemError, type TandemError } from '@tandem/freshness/errors';
import type { KeyType } from '@tandem/freshness/user-id';
import {
  explainRange,
  explainUser,
  type FullScan,
  findDuplicateKeys,
  type PlanReport,
} from '@tandem/offline-store/features/feature-check';
import { KEY_SQL } from '@tandem/offline-store/features/feature-statement';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import { checkWatchable } from '@tandem/offline-store/sources/watch-source';
import {
  type DeclaredWatch,
  listDeclaredWatches,
  listWatchedSources,
  resolveWatches,
} from '@tandem/offline-store/sources/watched-sources';
import { query } from '@tandem/offline-store/sql/database';
import { isOfSomeUser } from '@tandem/prediction/scoring/feature-source';
import { describeSources } from '../sources/describe-sources.ts';
import { watchRequests } from '../sources/watch-table.ts';
import { countUnscorable } from './count-unscorable.ts';
import { describeModel } from './describe-model.ts';
import { judgeProbabilities, judgeReadTime, predictSample, type Sample } from './predict-sample.ts';

const DUPLICATES_SHOWN = 5;
/** Time limit in ms for reading the ids of all users, when check looks for a user that makes the query fail. */
const KEYS_MS = 10_000;

interface JudgementOptions {
  /** Whether the schema exists. Reads of features include a certificate from its tables. */
  readonly isMigrated: boolean;
  /** Memory limit of the processes that try a model. */
  readonly memoryLimitMb: number;
  readonly reportProgress?: ReportProgress;
}

/** Returns the findings on each predictor, and one prediction of each that was computed during the check. */
export async function judgePredictors(
  databases: Databases,
  predictors: readonly CheckedPredictor[],
  { isMigrated, memoryLimitMb, reportProgress = reportNothing }: JudgementOptions,
) {
  const findings: Finding[] = [];
  const samples: Sample[] = [];
  for (const predictor of predictors) {
    const { name } = predictor;
    const found = [
      ...describeColumns(predictor),
      ...describeModel(predictor, memoryLimitMb),
      ...(await checkRows(databases, predictor, isMigrated, reportProgress)),
    ];
    if (isMigrated) {
      const predict = () => predictSample(databases.features, predictor, memoryLimitMb);
      const sample = await reportProgress(`predicting one user of ${name}`, predict);
      if ('level' in sample) found.push(sample);
      else {
        samples.push(sample);
        found.push(...judgeReadTime(predictor, sample), ...judgeProbabilities(sample));
      }
    }
    findings.push(...ofPredictor(name, found));
  }
  return { findings, samples };
}

function describeColumns({ definition, padded }: CheckedPredictor): Finding[] {
  const { columns, asOf } = definition.query;
  const features = `${counted(columns.length, 'feature')}, user ids of type ${KEY_SQL[definition.keyType]}`;
  return [ok('query', `${features}${asOf === null ? '' : `, as of ${asOf}`}`), ...padded.map(paddedFinding)];
}

/** Checks what the database has for the predictor: keys and users; with the schema also plans, runs and watches. */
async function checkRows(
  databases: Databases,
  predictor: CheckedPredictor,
  isMigrated: boolean,
  reportProgress: ReportProgress,
): Promise<Finding[]> {
  const { name } = predictor;
  const step = (doing: string, subject: Subject, what: string, work: () => Promise<Finding[]>) =>
    reportProgress(doing, () => inTime(name, subject, what, work));
  const keys = () => checkKeys(databases, predictor);
  const users = () => checkUsers(databases, predictor, isMigrated);
  const plans = () => checkPlans(databases, predictor);
  const [ofKeys, ofUsers] = ['whether each user has one row', 'the number of users, and whether each can be scored,'];
  const found = [
    ...(await step(`looking for users of ${name} with two rows`, 'keys', ofKeys, keys)),
    ...(isMigrated ? await checkKeyType(databases, predictor) : []),
    ...(await step(`counting users of ${name} who cannot be scored`, 'users', ofUsers, users)),
  ];
  if (!isMigrated) return found;
  return [
    ...found,
    ...(await step(`reading the plans of ${name}`, 'plan', 'the plan of a read of one user', plans)),
    await checkMaxAge(databases, predictor),
    ...checkBudget(predictor),
    ...(await checkSources(databases, predictor)),
  ];
}

function paddedFinding({ name, type }: CheckedPredictor['padded'][number]): Finding {
  const text = `column ${name} has type ${type}, which pads texts with blanks, so the model gets padded texts`;
  return warning('query', text, `cast the column, which removes the blanks: ${name}::text as ${name}`);
}

/** Returns the findings of the work, or one finding if the query failed or took too long. */
async function inTime(
  name: string,
  subject: Subject,
  what: string,
  work: () => Promise<Finding[]>,
): Promise<Finding[]> {
  const begin = performance.now();
  try {
    return await work();
  } catch (error) {
    const problem = settingProblem(name, error);
    if (problem)
      return [failed(subject, `${what} could not be checked: ${problem.problem} (${problem.path})`, problem.remedy)];
    if (!isTooSlow(error)) throw error;
    const remedy = 'make the query faster, because each run reads all users: add indexes or a materialized view';
    return [warning(subject, `${what} could not be checked within ${duration(performance.now() - begin)}`, remedy)];
  }
}

async function checkKeys({ features }: Databases, { definition }: CheckedPredictor): Promise<Finding[]> {
  const duplicates = await findDuplicateKeys(features, definition.query.sql, DUPLICATES_SHOWN);
  if (duplicates.length === 0) return [ok('keys', 'one row for each user')];
  const named = duplicates.map(({ userId, rows }) => `${userId ?? 'null'} (${count(rows)} rows)`).join(', ');
  const remedy =
    'group the query by user_id, or select one row for each user (a user with two rows is not scored), and no row with a null key';
  const more = duplicates.length === DUPLICATES_SHOWN ? ', …' : '';
  return [failed('keys', `not one row for each user: ${named}${more}`, remedy)];
}

/** Checks the user-ID type: a database supports one type, that of the users with events. */
async function checkKeyType({ pool }: Databases, { definition: { keyType } }: CheckedPredictor): Promise<Finding[]> {
  const [other] = await query<{ known: KeyType }>(pool, {
    text: `select key_type as known from tandem.settings
      where key_type <> $1 and exists (select from tandem.user_contexts)`,
    values: [keyType],
  });
  if (other === undefined) return [];
  const remedy = `use another database (another folder, for the servers of tandem up), or cast user_id to ${KEY_SQL[other.known]}`;
  const text = `this database has events of users with ids of type ${KEY_SQL[other.known]}, but the ids of this query are ${KEY_SQL[keyType]}`;
  return [failed('keys', text, remedy)];
}

async function checkUsers(
  { pool, features }: Databases,
  predictor: CheckedPredictor,
  isMigrated: boolean,
): Promise<Finding[]> {
  const { name, definition, policy, verification } = predictor;
  const { users, unscorable, reasons } = await countUnscorable(features, definition.query).catch((error: unknown) =>
    throwNamingUser(features, predictor, error),
  );
  if (users === 0) return [judgeEmpty(isMigrated && (await isServedFromStore(pool, name)))];
  if (unscorable === 0)
    return [ok('users', `${count(users)}, all with the required values; ${triedText(verification, users)}`)];
  const why = reasons.map((one) => `${one.column} is ${one.said} (${count(one.users)})`).join(', ');
  const text = `${count(unscorable)} of ${count(users)} cannot be scored: ${why}`;
  const remedy = [...new Set(reasons.map((one) => one.remedy)), 'or exclude such rows in the query'].join('; ');
  const isTooFew = 1 - unscorable / users < policy.batch.minCoverage;
  const refusal = `; a run is published only if ${policy.batch.minCoverage * 100} % of the users are scored (batch.minCoverage)`;
  return [isTooFew ? failed('users', `${text}${refusal}`, remedy) : warning('users', text, remedy)];
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

async function throwNamingUser(pool: Pool, predictor: CheckedPredictor, error: unknown): Promise<never> {
  if (!isOfSomeUser(error)) throw error;
  const source = createFeatureSource(pool, { rangeTimeoutMs: KEYS_MS });
  const userIds = await source.usersOf(versionOf(predictor), { from: null, to: null }).catch(() => []);
  throw await namingUser(pool, predictor.definition, userIds, error);
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

async function checkMaxAge({ pool }: Databases, { name, policy }: CheckedPredictor): Promise<Finding> {
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
  const remedy = 'schedule runs of all users, batch.schedule: { everyone, changed }, or set freshness.maxAge';
  return [warning('budget', text, remedy)];
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

/** The key of a table, as `features.watch` names it. */
type KeyOfTable = Pick<DeclaredWatch, 'oid' | 'key'>;

const COLUMN = /^([a-z_][a-z0-9_]*|"([^"]|"")+")$/;

/**
 * Returns the statement for the first scanned table whose key is known, otherwise for the first table, without the key.
 * If the key already has an index, the query lacks another index.
 */
export function indexStatement(scans: readonly FullScan[], keys: readonly KeyOfTable[]): string {
  const [known] = scans.flatMap(({ oid, sql, indexed }) => {
    const key = keys.find((one) => one.oid === oid)?.key ?? null;
    if (key === null || indexed.some((one) => one === key || one === `(${key})`)) return [];
    return [`create index on ${sql} (${COLUMN.test(key) ? key : `(${key})`})`];
  });
  return known ?? `create index on ${scans[0]?.sql} (…)`;
}
