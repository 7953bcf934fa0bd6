/**
 * Compares a run's generation with the current one before it is published. A comparison that exceeds its time is
 * repeated on a sample of the users, with the same time limit. If the sample is too slow, too, or the comparison fails,
 * a predictor with thresholds holds the generation back, unless `publish.onTimeout` is `publish`. Without thresholds
 * the report gives the reason. A failed connection ends the attempt, and the publication is retried.
 */

import { type DecisionPolicy, hasThresholds, PUBLISH_DEFAULTS, type PublishPolicy } from '@tandem/freshness/predictor';
import { type Comparison, createComparison } from '@tandem/prediction/reports/compare-generations';
import {
  type FirstGeneration,
  type GenerationReport,
  judgeReport,
  type Mover,
} from '@tandem/prediction/reports/generation-report';
import type { Generation } from '@tandem/prediction/runs/generations';
import type { Run } from '@tandem/prediction/runs/runs';
import { TransactionTooLong } from '../features/cancellable.ts';
import type { Pools } from '../features/feature-session.ts';
import { findModelVersion } from '../models/registry.ts';
import { type Db, isConnectionFailure, queryFirst, sqlState } from '../sql/database.ts';
import { joinGenerations, sampleOutputs } from './generation-reports-copy.ts';

/** A comparison, or the reason why there is none. */
export interface ComparedGeneration extends GenerationReport {
  readonly against: { readonly id: string; readonly number: number } | null;
  readonly movers: readonly Mover[];
}

/**
 * The number of compared users if a predictor configures no decision, segments or thresholds. Shares are exact to 0.7
 * percentage points if users with neighbouring ids are unlike each other, and less exact if they are alike. With a
 * sample, the report of a run of millions takes less than a seventh of the run's time.
 */
const USERS_UNASKED = 20_000;

/** The number of users in a sample if there are ten times as many. Shares are then exact to 0.3 percentage points. */
const SAMPLE_USERS = 100_000;
/** With fewer users, one in this many is in the sample. */
const SAMPLE_ONE_IN = 10;

/** The share of the time limit that a comparison by segments may take before it is repeated without segments. */
const SHARE_WITH_SEGMENTS = 0.6;

/** Compares the run's generation. Returns null if the run makes no generation. */
export async function compareWithServed(pools: Pools, run: Run, lost: AbortSignal): Promise<ComparedGeneration | null> {
  if (run.generationId === null) return null;
  const started = performance.now();
  const task = await findTask(pools.pool, run);
  if (task === null) return notCompared(null, ['no generation is current'], 0);
  const tookMs = () => Math.round(performance.now() - started);
  const why: string[] = [];
  let isLate = false;
  for (const attempt of [task, ...sampleOf(task)]) {
    try {
      const { comparison, notes } = await compareInTime(pools, attempt, run.generationId, lost);
      const compared = judged(attempt, comparison, [...why, ...notes, ...someNote(attempt, isLate)], tookMs());
      if (!isLate) return compared;
      if (compared.verdict === 'blocked' || isEnough(compared, task.policy))
        return { ...compared, outOfTime: 'sampled' };
      why.push(...compared.notes);
    } catch (error) {
      lost.throwIfAborted();
      if (isConnectionFailure(error)) throw error;
      why.push(whyNot(error, attempt));
      if (!isTooLate(error)) break;
      isLate = true;
    }
  }
  return unfinished(task, why, tookMs(), isLate);
}

/** Returns whether both generations share enough users to be judged. A sample with too few is no reason to publish. */
function isEnough({ figures }: ComparedGeneration, { minUsers }: PublishPolicy): boolean {
  return (figures?.users.both ?? 0) >= minUsers;
}

/** Returns the sample to compare if all users take too long; none if it would have fewer users than `minUsers`. */
function sampleOf(task: Task): readonly Task[] {
  const { users } = task.against;
  const { minUsers } = task.policy;
  const oneIn = Math.max(SAMPLE_ONE_IN, Math.floor(users / Math.max(SAMPLE_USERS, 2 * minUsers)));
  return task.oneIn > 1 || users < 2 * minUsers * oneIn ? [] : [{ ...task, oneIn, byPages: false, segments: [] }];
}

function someNote({ oneIn }: Task, isLate: boolean): readonly string[] {
  if (oneIn === 1) return [];
  const why = isLate
    ? ' instead of all users'
    : '; with decision, segments or publish in the config, all users are compared';
  return [`only one in ${oneIn} users was compared${why}`];
}

/** The parts of a policy that may be missing. */
type UnsetPolicy = { readonly segments: Task['segments'] | null; readonly publish: PublishPolicy | null };

interface Task {
  /** The served generation. Its users include those of its base. */
  readonly against: Pick<Generation, 'id' | 'number' | 'baseId' | 'users' | 'modelVersionId'>;
  /** Whether the new generation has a base, so that only users that the run scored are compared. */
  readonly isOfSome: boolean;
  /** The generation to compare with as well; null: none yet. */
  readonly first: FirstGeneration | null;
  readonly modelVersionId: string;
  readonly decision: DecisionPolicy | null;
  readonly segments: readonly string[];
  readonly policy: PublishPolicy;
  /** One in this many users is compared; 1 for all users. */
  readonly oneIn: number;
  readonly byPages: boolean;
}

/**
 * Returns the comparison with the generation of the arm that serves the run's model version, else with that of the
 * stable arm; null if neither has one.
 */
async function findTask(db: Db, { predictor, modelVersionId, generationId }: Run): Promise<Task | null> {
  const row = await queryFirst<Task['against'] & Pick<Task, 'isOfSome' | 'first' | 'decision'> & UnsetPolicy>(db, {
    text: `select g.id, g.number, g.base_id as "baseId", g.users + coalesce(g.users_left, 0) as users,
        g.model_version_id as "modelVersionId", n.base_id is not null as "isOfSome", ${FIRST} as first,
        p.policy -> 'decision' as decision, p.policy -> 'segments' as segments, p.policy -> 'publish' as publish
      from tandem.arms a join tandem.generations g on g.id = a.generation_id join tandem.predictors p on p.name = a.predictor
      join tandem.generations n on n.id = $3 left join tandem.generation_reports r on r.generation_id = g.id
      where a.predictor = $1 and (a.model_version_id = $2 or a.name = 'stable')
      order by a.model_version_id = $2 desc limit 1`,
    values: [predictor, modelVersionId, generationId],
  });
  if (!row) return null;
  const { id, number, baseId, users, isOfSome, decision, segments, publish } = row;
  const oneIn = publish || decision || segments ? 1 : Math.max(1, Math.floor(users / USERS_UNASKED));
  const byPages = canSamplePages({ oneIn, baseId, isOfSome });
  // Counts of some pages do not compare with all users.
  const first = row.first?.isOfPages && !byPages ? null : row.first;
  return {
    against: { id, number, baseId, users, modelVersionId: row.modelVersionId },
    isOfSome,
    first,
    modelVersionId,
    decision,
    segments: segments ?? [],
    policy: publish ?? PUBLISH_DEFAULTS,
    oneIn,
    byPages,
  };
}

/**
 * Returns whether a sample may consist of some pages. For a generation with a base it may not, since its pages lack
 * users that are served.
 */
export function canSamplePages({
  oneIn,
  baseId,
  isOfSome,
}: Pick<Task, 'oneIn' | 'isOfSome'> & Pick<Task['against'], 'baseId'>) {
  return oneIn > 1 && baseId === null && !isOfSome;
}

/**
 * SQL of the first generation: that of the compared generation's report `r`. If the model version is another, or an
 * operator approved the compared generation in spite of its shift, that generation becomes the first.
 */
const FIRST = `case when g.model_version_id = $2 and not r.report -> 'crossings' @> '[{"setting": "maxPsi"}]'
  then r.report -> 'first' end`;

/** Compares by segments, or without segments if these exceed their share of the time. */
async function compareInTime({ pool, features }: Pools, task: Task, generationId: string, lost: AbortSignal) {
  const deadline = performance.now() + task.policy.reportTimeoutMs;
  const leftMs = () => Math.max(1, Math.round(deadline - performance.now()));
  const version = await findModelVersion(pool, task.modelVersionId);
  const before = await findModelVersion(pool, task.against.modelVersionId);
  const sample = await sampleOutputs(pool, task.against, { timeoutMs: leftMs(), signal: lost });
  const columns = new Set(version.query.columns.map(({ name }) => name));
  const segments = task.segments.filter((column) => columns.has(column));
  const missing = task.segments.filter((column) => !columns.has(column));
  const notes = missing.map((column) => `segments: model version ${version.number} has no feature ${column}`);
  const compare = async (by: readonly string[], timeoutMs: number): Promise<Comparison> => {
    const { decision } = task;
    const comparison = createComparison({
      before: before.outputs,
      now: version.outputs,
      sample,
      // A run of some users scores users who differ from those of the first generation.
      first: task.isOfSome ? [] : (task.first?.outputs ?? []),
      decision,
      segments: by,
    });
    const both = { before: task.against, now: generationId, isOfSome: task.isOfSome };
    const reading = by.length > 0 ? features : pool;
    await joinGenerations(
      reading,
      { ...both, version, segments: by, oneIn: task.oneIn, byPages: task.byPages, timeoutMs, signal: lost },
      comparison.add,
    );
    return comparison;
  };
  if (segments.length === 0) return { comparison: await compare([], leftMs()), notes };
  try {
    return { comparison: await compare(segments, Math.ceil(leftMs() * SHARE_WITH_SEGMENTS)), notes };
  } catch (error) {
    lost.throwIfAborted();
    if (isConnectionFailure(error)) throw error;
    const why = isTooLate(error) ? 'they were not compared in time' : `the feature query failed (${messageOf(error)})`;
    return { comparison: await compare([], leftMs()), notes: [...notes, `segments: ${why}`] };
  }
}

function judged(task: Task, comparison: Comparison, notes: readonly string[], tookMs: number): ComparedGeneration {
  const figures = comparison.figures();
  const { crossings, notes: unjudged } = judgeReport(figures, task.policy, task.decision);
  const { oneIn } = task;
  return {
    verdict: crossings.length > 0 ? 'blocked' : 'passed',
    against: { id: task.against.id, number: task.against.number },
    figures,
    crossings,
    notes: [...notes, ...comparison.notes, ...unjudged],
    movers: comparison.movers(),
    tookMs,
    first: task.first ?? newFirst(task, comparison),
    ...(oneIn > 1 ? { sample: { oneIn, users: figures.users.before + figures.users.added } } : {}),
  };
}

function notCompared(task: Task | null, notes: readonly string[], tookMs: number): ComparedGeneration {
  const against = task && { id: task.against.id, number: task.against.number };
  const first = task?.first ?? null;
  return { verdict: 'not_compared', against, figures: null, crossings: [], notes, movers: [], tookMs, first };
}

/** Returns the compared generation as the first; null if another model version made it, or only some users count. */
function newFirst(
  { against, isOfSome, byPages, modelVersionId }: Task,
  comparison: Comparison,
): FirstGeneration | null {
  if (isOfSome || against.modelVersionId !== modelVersionId) return null;
  return { generation: against.number, isOfPages: byPages, outputs: comparison.classesBefore() };
}

/**
 * Returns the fate of a generation whose thresholds could not be judged: it is held back unless the predictor says
 * otherwise.
 */
function unfinished(task: Task, why: readonly string[], tookMs: number, isLate: boolean): ComparedGeneration {
  const became = (outOfTime: 'held' | 'published') => (isLate ? { outOfTime } : {});
  if (!hasThresholds(task.policy)) return { ...notCompared(task, why, tookMs), ...became('published') };
  if (task.policy.onTimeout === 'publish') {
    const notes = [...why, 'published without judging the thresholds: publish.onTimeout is publish'];
    return { ...notCompared(task, notes, tookMs), ...became('published') };
  }
  return { ...notCompared(task, why, tookMs), verdict: 'blocked', ...became('held') };
}

function whyNot(error: unknown, { oneIn, policy: { reportTimeoutMs } }: Task): string {
  const some = oneIn === 1 ? '' : ` of one in ${oneIn} users`;
  if (!isTooLate(error)) return `the comparison${some} failed: ${messageOf(error)}`;
  return `too slow: the comparison${some} took longer than publish.reportTimeout (${reportTimeoutMs} ms)`;
}

/** Returns whether the time limit of the client or statement_timeout ended the comparison. */
function isTooLate(error: unknown): boolean {
  return error instanceof TransactionTooLong || sqlState(error) === '57014';
}

function messageOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
