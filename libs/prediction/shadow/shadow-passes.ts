/**
 * One pass after the other: the answers that wait beside one shadow are computed together, when a moment's are there and
 * there is processor time for it. What a pass costs is charged to the budget of all.
 *
 * This is no `WriteBehind`: the lines of several shadows take turns, the cost of a pass decides when the next one begins, and a
 * close computes nothing more.
 */
import type { Answer } from '@tandem/freshness/answer';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { Registry } from '@tandem/freshness/reader';
import type { CpuBudget } from '../scoring/cpu-budget.ts';
import type { FeatureSource } from '../scoring/feature-source.ts';
import type { Scorer } from '../scoring/scoring.ts';
import { yardstickOf } from './compare-answers.ts';
import type { ShadowedRollout } from './create-shadow.ts';
import type { ShadowOutcome } from './shadow-counts.ts';
import { type PassResult, performPass } from './shadow-pass.ts';

export interface ShadowPassesDependencies {
  readonly registry: Pick<Registry, 'predictor' | 'modelVersion'>;
  /** Over connections of the shadow's own. */
  readonly features: Pick<FeatureSource, 'readUsers'>;
  readonly scorer: ShadowScorer;
  readonly observer: ShadowObserver;
  readonly budget: CpuBudget;
  /** The shadow whose turn it is among those beside which answers wait. */
  next(): ShadowedRollout | undefined;
  /** Milliseconds that only ever rise. */
  readonly now: () => number;
}

interface ShadowPasses {
  /** Answers wait: there is a pass soon, if none is under way. */
  schedule(): void;
  isOf(one: ShadowedRollout): boolean;
  /** Releases the scorer's processes after they were idle for this long. */
  restAfter(idleMs: number): Promise<void>;
  /** Begins no further pass; resolves when the current pass has ended. */
  stop(): Promise<void>;
}

/** How long answers wait for each other, so that they share a statement and a run. */
const GATHER_MS = 100;
/** Far more than a run takes, since its process is the last to be given a processor. */
const PASS_MS = 5_000;
const USERS_A_PASS = 256;
/**
 * What a user of a pass is charged beside the model's own processor time, in ms: about 50 µs of the event loop that also
 * answers (features, tensors, comparison), and five times that, since there it takes from others. So a shadow of the
 * lightest model takes a twentieth of the loop.
 */
const LOOP_MS_A_USER = 0.25;

export function createShadowPasses(dependencies: ShadowPassesDependencies): ShadowPasses {
  const { scorer, observer, budget, next, now } = dependencies;
  /** The rollout whose pass is under way, or was the last, and its cost so far. */
  let current: ShadowedRollout | undefined;
  let cost = { cpuMs: 0, ended: 0 };
  let timer: NodeJS.Timeout | undefined;
  let passing: Promise<void> | undefined;
  let isStopped = false;
  /** Null: the scorer has no processes. */
  let lastAt: number | null = null;

  scorer.observe({
    ran(users, ms, cpuMs) {
      cost.cpuMs += cpuMs;
      budget.charge(cpuMs);
      current?.tally.run(users, ms, cpuMs);
    },
    ended() {
      cost.ended++;
      current?.tally.processEnded();
      if (current) observer.processEnded(current.predictor);
    },
  });

  function schedule(afterMs: number): void {
    if (isStopped || passing || timer) return;
    timer = setTimeout(start, Math.max(afterMs, budget.msToNext())).unref();
  }

  function start(): void {
    timer = undefined;
    const one = next();
    if (!one || isStopped) return;
    current = one;
    lastAt = now();
    cost = { cpuMs: 0, ended: 0 };
    const answers = one.line.take(USERS_A_PASS);
    budget.charge(answers.length * LOOP_MS_A_USER);
    passing = pass(one, answers).finally(() => {
      passing = undefined;
      schedule(answers.length < USERS_A_PASS ? GATHER_MS : 0);
    });
  }

  async function pass(one: ShadowedRollout, answers: readonly Answer[]): Promise<void> {
    const startedAt = now();
    const found = await candidateOf(dependencies, one).catch(() => undefined);
    const { results, featuresMs } = found
      ? await performPass(dependencies, { ...found, answers, timeoutMs: PASS_MS })
      : { results: answers.map(() => ({ outcome: 'unavailable' as const })), featuresMs: null };
    if (featuresMs !== null) one.tally.read(answers.length, featuresMs);
    for (const [i, answer] of answers.entries()) note(one, answer, results[i] as PassResult, observer);
    const ms = now() - startedAt;
    // The processor time of a process that died or is to be ended is unknown: the whole elapsed time counts.
    const isLost = cost.ended > 0 || results.some(({ outcome }) => outcome === 'timed_out');
    if (isLost) budget.charge(Math.max(0, ms - cost.cpuMs));
    observer.passed(one.predictor, ms, cost.cpuMs);
  }

  return {
    schedule: () => schedule(GATHER_MS),
    isOf: (one) => passing !== undefined && current === one,
    async restAfter(idleMs) {
      const restedSince = lastAt;
      if (passing || restedSince === null || now() - restedSince < idleMs) return;
      await scorer.rest();
      if (lastAt === restedSince) lastAt = null;
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await scorer.rest();
      await passing;
      // What had read its features by then has asked once more.
      await scorer.rest();
    },
  };
}

/** Returns the candidate version and how to compare it; undefined if the predictor is no longer served. */
async function candidateOf(
  { registry }: Pick<ShadowPassesDependencies, 'registry'>,
  { predictor: name, candidateVersionId }: ShadowedRollout,
) {
  const predictor = await registry.predictor(name);
  if (!predictor) return undefined;
  const version = await registry.modelVersion(candidateVersionId);
  return { version, yardstick: yardstickOf(predictor.policy), segments: predictor.policy.segments ?? [] };
}

function note(
  { predictor, line, tally }: ShadowedRollout,
  answer: Answer,
  result: PassResult,
  to: ShadowObserver,
): void {
  to.counted(predictor, result.outcome, 1);
  if (result.outcome !== 'compared') {
    tally.count(result.outcome);
    return;
  }
  const { comparison, segments, contextVersion, computedAt } = result;
  line.done(answer);
  tally.compare(comparison, answer.ageSeconds ?? 0, segments);
  if (!comparison.numbers) return;
  const { served, candidate } = comparison.numbers;
  tally.consider({ userId: answer.userId, served, candidate, contextVersion, computedAt });
}

// Ports of the shadow beside its store: who infers for it, and who is told what it does.

/** The scorer of shadows alone. */
export interface ShadowScorer extends Scorer {
  /** Resolves when a process has the model: its start and the loading are no run's time. Rejects with `unavailable`. */
  ready(version: ModelVersion): Promise<void>;
  /** Receives the cost of each run, in ms of wall and processor, and each process that ended. */
  observe(observer: ShadowScorerObserver): void;
  /** Ends its processes until it is asked again. */
  rest(): Promise<void>;
}

export interface ShadowScorerObserver {
  ran(users: number, ms: number, cpuMs: number): void;
  ended(): void;
}

/** For metrics and the log. */
interface ShadowObserver {
  counted(predictor: string, outcome: ShadowOutcome, answers: number): void;
  /** A pass that read features and inferred; `cpuMs` of the model alone. */
  passed(predictor: string, ms: number, cpuMs: number): void;
  processEnded(predictor: string): void;
  began(predictor: string, rolloutId: string): void;
  /** Called with the outcomes of this process's answers. */
  ended(predictor: string, rolloutId: string, outcomes: Readonly<Record<string, number>>): void;
  notKept(rolloutId: string, error: unknown): void;
}
