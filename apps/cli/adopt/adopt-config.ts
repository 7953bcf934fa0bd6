/** Adopts a config. API and worker serve its predictors from then on. */
import { relative } from 'node:path';
import type { CheckedPredictor, JudgeOptions } from '@tandem/admission/judge-predictor';
import { type ReportProgress, reportNothing } from '@tandem/admission/report-progress';
import { plain } from '@tandem/commands/command';
import type { Databases } from '@tandem/commands/environment';
import { CommandFailure } from '@tandem/commands/failure';
import { type Finding, renderFindings, summarise } from '@tandem/commands/output/finding';
import { TandemError } from '@tandem/freshness/errors';
import { type AdoptionOutcome, adopt, findUnchanged } from '@tandem/offline-store/adopt';
import { lookupDepth } from '@tandem/offline-store/sources/lookup-key';
import type { WatchRequest } from '@tandem/offline-store/sources/watch-request';
import { checkWatchable, type Watched, watchSource } from '@tandem/offline-store/sources/watch-source';
import { findCount } from '@tandem/offline-store/sql/settings';
import { createCount } from '@tandem/online-store/told-counts';
import type { OnlineCount } from '@tandem/prediction/online-count';
import { createConfirming, NOT_CONFIRMED } from '@tandem/prediction/runs/withdrawals';
import { judgePredictors } from '../check/check-predictor.ts';
import { findWithdrawn, KEEP_SERVED, readConfig, withdrawalText } from '../check/read-config.ts';
import { examineSchema } from '../doctor/examine-schema.ts';
import { withRedis } from '../doctor/reach-redis.ts';
import { renderWatched, watchRequests } from '../sources/watch-table.ts';

export interface AdoptedConfig extends AdoptionOutcome {
  /** Absolute. */
  readonly file: string;
  /** A scorable user of the first predictor, for a first request; null if none was found. */
  readonly toTry: ToTry | null;
  /** Errors of `check` that `--force` ignored. */
  readonly ignored: readonly Finding[];
  /** Warnings of `check` about predictors that the adoption changed. */
  readonly warnings: readonly Finding[];
  /** The tables that the config watches. */
  readonly watched: readonly Watched[];
}

export interface ToTry {
  readonly predictor: string;
  readonly userId: string;
  /** The type of an event after which the next read infers live; null if there is none. */
  readonly eventType: string | null;
}

interface AdoptionOptions extends Pick<JudgeOptions, 'memoryLimitMb' | 'reportProgress' | 'sampling'> {
  /** Adopts the config even if `check` finds errors. */
  readonly force: boolean;
  /** The command that the remedy of a rejection names. */
  readonly command: 'tandem adopt' | 'tandem up';
  /**
   * Receives lines for warnings, for ignored errors and for predictors that will no longer be served, before the
   * adoption.
   */
  readonly say: (line: string) => void;
  /** The folder to which printed paths are relative. */
  readonly cwd: string;
  /** The address of the Redis of the service; undefined: this process does not know it. */
  readonly redisUrl: string | undefined;
}

/** Adopts the config. Rejects if it cannot be adopted, or if `check` finds an error and `force` is not set. */
export async function adoptConfig(
  databases: Databases,
  path: string,
  options: AdoptionOptions,
): Promise<AdoptedConfig> {
  const { memoryLimitMb, say, cwd, reportProgress = reportNothing, sampling } = options;
  const { pool, features } = databases;
  const { file, predictors } = await readConfig(features, path, memoryLimitMb, reportProgress, sampling);
  const from = relative(cwd, file) || file;
  const findings = await judgeChanged(databases, predictors, { memoryLimitMb, reportProgress });
  const [warnings, ignored] = [withLevel('warning', findings), withLevel('error', findings)];
  for (const line of renderFindings(warnings, plain)) say(line);
  if (ignored.length > 0 && !options.force) throw refusal(from, ignored, options.command);
  for (const { subject, text } of ignored) say(`ignored: ${subject}: ${text}`);
  const withdrawn = await findWithdrawn(pool, predictors);
  if (withdrawn.length > 0) say(`${withdrawalText(withdrawn, from)}; ${KEEP_SERVED}`);
  // A table that cannot be watched rejects the config before anything is changed, even with `force`.
  const watches = predictors.flatMap(watchRequests);
  for (const request of watches) await checkWatchable(pool, request);
  const adoptAndWatch = async () => {
    const adopted = await adopt(pool, { predictors, actor: 'cli' });
    return { ...adopted, watched: await watchAll(databases, watches) };
  };
  const adopted = await confirmAdoption(pool, adoptAndWatch, options);
  return {
    file,
    ...adopted,
    ignored,
    warnings,
    toTry: toTryOf(predictors),
  };
}

/** Watches the tables after the adoption, because a watch needs known predictors. */
async function watchAll({ pool, features }: Databases, requests: readonly WatchRequest[]): Promise<readonly Watched[]> {
  const watched = new Map<string, Watched>();
  // A key that looks up a parent row requires a watch of the parent.
  for (const request of requests.toSorted((a, b) => lookupDepth(a.key) - lookupDepth(b.key))) {
    const one = await watchSource(pool, request, { features });
    watched.set(one.name, one);
  }
  return [...watched.values()];
}

/**
 * Returns the findings of `check` about predictors that the adoption would change. The others are served in any case.
 */
async function judgeChanged(
  databases: Databases,
  predictors: readonly CheckedPredictor[],
  { memoryLimitMb, reportProgress }: { readonly memoryLimitMb: number; readonly reportProgress: ReportProgress },
): Promise<readonly Finding[]> {
  const { pool } = databases;
  const schema = await examineSchema(pool);
  const isMigrated = schema.level === 'ok';
  const unchanged = isMigrated ? await findUnchanged(pool, predictors) : [];
  const changed = predictors.filter(({ name }) => !unchanged.includes(name));
  const { findings } = await judgePredictors(databases, changed, { isMigrated, memoryLimitMb, reportProgress });
  return [schema, ...findings];
}

function withLevel(level: Finding['level'], findings: readonly Finding[]): readonly Finding[] {
  return findings.filter((finding) => finding.level === level);
}

function refusal(from: string, errors: readonly Finding[], command: string): CommandFailure {
  const found = renderFindings(errors, plain).map((line) => `  ${line}`);
  return new CommandFailure([`${from} is not adopted: ${summarise(errors)}`, ...found].join('\n'), {
    remedy: `correct it (tandem check shows all findings), or ignore the errors: ${command} --force`,
  });
}

function toTryOf([first]: readonly CheckedPredictor[]): ToTry | null {
  const [userId] = first?.users?.scorable?.userIds ?? [];
  if (!first || userId === undefined) return null;
  const { events, live } = first.policy.freshness;
  const [pattern] = live ? events : [];
  return { predictor: first.name, userId, eventType: pattern?.replaceAll('*', 'changed') ?? null };
}

const CHANGES = {
  added: 'adopted',
  version: 'adopted: the model version changed',
  policy: 'adopted: policies changed',
  unchanged: 'unchanged',
} as const;

/**
 * Names the served model version if it differs: adopting an earlier config again does not undo a promotion or a
 * rollback.
 */
function servedInstead(adopted: number, served: number): string {
  if (served === adopted) return '';
  return `; model version ${served} is served, because of a later rollout or rollback (npx tandem audit list)`;
}

const PENDING =
  'event patterns or features were added; until workers have rewritten the contexts, any event of a user makes the stored prediction stale, so more reads are live (docs/failures/events.md, "Event patterns grow")';

/** Returns a line for each predictor, and a second line if its reads change temporarily. */
export function renderAdoption({ file, predictors, deactivated, watched }: AdoptedConfig, cwd: string): string[] {
  const from = relative(cwd, file) || file;
  return [
    ...predictors.map(
      ({ predictor, modelNumber, servedNumber, change }) =>
        `${predictor}: model version ${modelNumber}, ${CHANGES[change]} (${from})${servedInstead(modelNumber, servedNumber)}`,
    ),
    ...predictors.flatMap(({ predictor, patternsPending }) => (patternsPending ? [`${predictor}: ${PENDING}`] : [])),
    ...watched.map(renderWatched),
    ...deactivated.map((name) => `${name}: not in ${from}, so it is no longer served`),
  ];
}

/**
 * Runs an adoption. If it withdraws predictions, resolves only once Redis has their count. Rejects with
 * `not_confirmed` if Redis does not confirm it; the adoption is then complete nevertheless.
 * @param redisUrl undefined: workers confirm the adoption, which the line to `say` tells
 */
function confirmAdoption<T>(
  pool: Parameters<typeof findCount>[0],
  adopt: () => Promise<T>,
  { redisUrl, say }: { readonly redisUrl: string | undefined; readonly say: (line: string) => void },
): Promise<T> {
  const raise: OnlineCount['raise'] = async (count) => {
    if (redisUrl === undefined) {
      say('REDIS_URL is not set: workers confirm within seconds that no process serves what this adoption replaces');
      return;
    }
    const raised = withRedis(redisUrl, (connection) => createCount('withdrawals', { connection }).raise(count));
    await raised.catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      const text = `The config is adopted, but Redis did not confirm it: ${why}`;
      throw new TandemError('not_confirmed', text, { cause, remedy: NOT_CONFIRMED });
    });
  };
  return createConfirming({ countWithdrawals: () => findCount(pool, 'withdrawals'), online: { raise } })(adopt);
}
