/** Adopts a config: from then on API and worker serve what it says. */
import { relative } from 'node:path';
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import { type ReportProgress, reportNothing } from '@tandem/admission/report-progress';
import type { SampleLimits } from '@tandem/admission/sample-users';
import { type AdoptionOutcome, adopt, findUnchanged } from '@tandem/offline-store/adopt';
import {
  checkWatchable,
  type Watched,
  type WatchRequest,
  watchSource,
} from '@tandem/offline-store/sources/watch-source';
import { judgePredictors } from '../check/judge-predictors.ts';
import { findWithdrawn, KEEP_SERVED, readConfig, withdrawalText } from '../check/read-config.ts';
import { plain } from '../command-line/command.ts';
import type { Databases } from '../command-line/environment.ts';
import { CommandFailure } from '../command-line/failure.ts';
import { examineSchema } from '../doctor/examine-schema.ts';
import { type Finding, renderFindings, summarise } from '../output/finding.ts';
import { renderWatched, watchRequests } from '../sources/watch-table.ts';

export interface AdoptedConfig extends AdoptionOutcome {
  /** Absolute. */
  readonly file: string;
  /** A user for a first request: of the first predictor, and scorable; null: none was seen. */
  readonly toTry: ToTry | null;
  /** Errors that `check` finds, and that `--force` ignored. */
  readonly ignored: readonly Finding[];
  /** Warnings that `check` finds in what the adoption changed. */
  readonly warnings: readonly Finding[];
  /** The tables that the config watches. */
  readonly watched: readonly Watched[];
}

export interface ToTry {
  readonly predictor: string;
  readonly userId: string;
  /** Type of an event that makes the next read infer; null: no event does. */
  readonly eventType: string | null;
}

interface AdoptionOptions {
  /** Memory limit of the process that tries a model. */
  readonly memoryLimitMb: number;
  /** Adopts a config that `check` finds errors in. */
  readonly force: boolean;
  /** The command, for the remedy of a refusal. */
  readonly command: 'tandem adopt' | 'tandem up';
  readonly reportProgress?: ReportProgress;
  /** How long a query may take for the users that models are tried with. */
  readonly sampling?: SampleLimits;
  /**
   * Receives lines for warnings, for ignored errors and for predictors that will no longer be served, before the
   * adoption.
   */
  readonly say: (line: string) => void;
  /** The folder that files are named from. */
  readonly cwd: string;
}

/** Rejects where the config cannot be adopted, or where `check` calls something of it an error and `force` is not given. */
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
  // What cannot be watched refuses the config before anything is changed, also with `force`.
  const watches = predictors.flatMap(watchRequests);
  for (const request of watches) await checkWatchable(pool, request);
  const adopted = await adopt(pool, { predictors, actor: 'cli' });
  return { file, ...adopted, ignored, warnings, toTry: toTryOf(predictors), watched: await watchAll(pool, watches) };
}

/** Watches the tables after the adoption, because a watch needs known predictors. */
async function watchAll(pool: Databases['pool'], requests: readonly WatchRequest[]): Promise<readonly Watched[]> {
  const watched = new Map<string, Watched>();
  for (const request of requests) {
    const one = await watchSource(pool, request);
    watched.set(one.name, one);
  }
  return [...watched.values()];
}

/** Returns what `check` finds in what adopting would change: refusing the rest would not stop it from being served. */
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
  version: 'adopted: another model version',
  policy: 'adopted: policies changed',
  unchanged: 'unchanged',
} as const;

/** A config that was adopted before does not undo what was promoted or rolled back to since. */
function servedInstead(adopted: number, served: number): string {
  if (served === adopted) return '';
  return `; served is model version ${served}, by a rollout or a rollback since (npx tandem audit list)`;
}

const PENDING =
  'event patterns or features grew; until workers have rewritten the contexts any event of a user makes the stored prediction stale, so more reads are live (docs/failures/events.md, "Event patterns grow")';

/** A line for each predictor, and one more where its reads change for a while. */
export function renderAdoption({ file, predictors, deactivated, watched }: AdoptedConfig, cwd: string): string[] {
  const from = relative(cwd, file) || file;
  return [
    ...predictors.map(
      ({ predictor, modelNumber, servedNumber, change }) =>
        `${predictor}: model version ${modelNumber}, ${CHANGES[change]} (${from})${servedInstead(modelNumber, servedNumber)}`,
    ),
    ...predictors.flatMap(({ predictor, patternsPending }) => (patternsPending ? [`${predictor}: ${PENDING}`] : [])),
    ...watched.map(renderWatched),
    ...deactivated.map((name) => `${name}: removed from ${from}, not served any more`),
  ];
}
