/**
 * Runs passes one after the other. A pass computes the waiting answers of one shadow together, when answers have
 * gathered and there is processor time. Its cost is charged to the budget that all shadows share.
 *
 * A `WriteBehind` does not fit here: several shadows take turns, the cost of a pass decides when the next pass begins,
 * and nothing more is computed after a close.
 */
import type { Answer } from '@tandem/freshness/answer';
import type { Registry } from '@tandem/freshness/reader';
import type { CpuBudget } from '@tandem/prediction/scoring/cpu-budget';
import type { FeatureSource } from '@tandem/prediction/scoring/feature-source';
import type { IdleScorer } from '@tandem/prediction/scoring/idle-scorer';
import { yardstickOf } from './compare-answers.ts';
import type { ShadowedRollout } from './shadow.ts';
import type { ShadowOutcome } from './shadow-counts.ts';
import { type PassResult, performPass } from './shadow-pass.ts';

export interface ShadowPassesDependencies {
  readonly registry: Pick<Registry, 'predictor' | 'modelVersion'>;
  /** The feature source, over separate connections of the shadow. */
  readonly features: Pick<FeatureSource, 'readUsers'>;
  readonly scorer: IdleScorer;
  readonly observer: ShadowObserver;
  readonly budget: CpuBudget;
  /** Returns the next shadow in turn that has waiting answers. */
  next(): ShadowedRollout | undefined;
  /** The time limit of an inference in ms; default 5 s. */
  readonly passMs?: number | undefined;
  /** A clock in milliseconds that only rises. */
  readonly now: () => number;
}

/** How long answers wait for each other, so that they share a statement and a run. */
const GATHER_MS = 100;
/**
 * The time limit of an inference. It is far longer than a run, since the process has the lowest priority for a
 * processor.
 */
const PASS_MS = 5_000;
const USERS_A_PASS = 256;
/**
 * The charge for each user of a pass in ms, in addition to the model's processor time. A user takes about 50 µs of the
 * event loop that also answers reads (features, tensors, comparison). This time is charged five times, since it is
 * taken from reads. So the shadow of a very light model takes a twentieth of the loop.
 */
const LOOP_MS_A_USER = 0.25;

export class ShadowPasses {
  readonly #dependencies: ShadowPassesDependencies;
  /** The rollout of the current or last pass, and its cost so far. */
  #current: ShadowedRollout | undefined;
  #cost = { cpuMs: 0, ended: 0 };
  #timer: NodeJS.Timeout | undefined;
  #passing: Promise<void> | undefined;
  #isStopped = false;
  /** The time of the last pass; null if the scorer has no processes. */
  #lastAt: number | null = null;

  constructor(dependencies: ShadowPassesDependencies) {
    const { scorer, observer, budget } = dependencies;
    this.#dependencies = dependencies;
    scorer.observe({
      ran: (users, ms, cpuMs) => {
        this.#cost.cpuMs += cpuMs;
        budget.charge(cpuMs);
        this.#current?.tally.run(users, ms, cpuMs);
      },
      ended: () => {
        this.#cost.ended++;
        this.#current?.tally.processEnded();
        if (this.#current) observer.processEnded(this.#current.predictor);
      },
    });
  }

  /** Schedules a pass for waiting answers, unless one is running. */
  schedule(afterMs: number = GATHER_MS): void {
    if (this.#isStopped || this.#passing || this.#timer) return;
    this.#timer = setTimeout(() => this.#start(), Math.max(afterMs, this.#dependencies.budget.msToNext())).unref();
  }

  isOf(one: ShadowedRollout): boolean {
    return this.#passing !== undefined && this.#current === one;
  }

  /** Ends the scorer's processes if they have been idle for this long. */
  async restAfter(idleMs: number): Promise<void> {
    const restedSince = this.#lastAt;
    if (this.#passing || restedSince === null || this.#dependencies.now() - restedSince < idleMs) return;
    await this.#dependencies.scorer.rest();
    if (this.#lastAt === restedSince) this.#lastAt = null;
  }

  /** Begins no further pass; resolves when the current pass has ended. */
  async stop(): Promise<void> {
    const { scorer } = this.#dependencies;
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await scorer.rest();
    await this.#passing;
    // A pass that had read its features may have started the processes again.
    await scorer.rest();
  }

  #start(): void {
    const { budget, next, now } = this.#dependencies;
    this.#timer = undefined;
    const one = next();
    if (!one || this.#isStopped) return;
    this.#current = one;
    this.#lastAt = now();
    this.#cost = { cpuMs: 0, ended: 0 };
    const answers = one.line.take(USERS_A_PASS);
    budget.charge(answers.length * LOOP_MS_A_USER);
    this.#passing = this.#pass(one, answers).finally(() => {
      this.#passing = undefined;
      this.schedule(answers.length < USERS_A_PASS ? GATHER_MS : 0);
    });
  }

  async #pass(one: ShadowedRollout, answers: readonly Answer[]): Promise<void> {
    const { observer, budget, now, passMs: timeoutMs = PASS_MS } = this.#dependencies;
    const startedAt = now();
    const found = await candidateOf(this.#dependencies, one).catch(() => undefined);
    const { results, featuresMs } = found
      ? await performPass(this.#dependencies, { ...found, answers, timeoutMs })
      : { results: answers.map(() => ({ outcome: 'unavailable' as const })), featuresMs: null };
    if (featuresMs !== null) one.tally.read(answers.length, featuresMs);
    for (const [i, answer] of answers.entries()) note(one, answer, results[i] as PassResult, observer);
    const ms = now() - startedAt;
    const { cpuMs, ended } = this.#cost;
    // The processor time of a process that died or must be ended is unknown, so the whole elapsed time counts.
    const isLost = ended > 0 || results.some(({ outcome }) => outcome === 'timed_out');
    if (isLost) budget.charge(Math.max(0, ms - cpuMs));
    observer.passed(one.predictor, ms, cpuMs);
  }
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

/** Receives events of the shadow, for metrics and the log. */
interface ShadowObserver {
  counted(predictor: string, outcome: ShadowOutcome, answers: number): void;
  /** Called for a pass that read features and inferred. `cpuMs` is the model's processor time. */
  passed(predictor: string, ms: number, cpuMs: number): void;
  processEnded(predictor: string): void;
  began(predictor: string, rolloutId: string): void;
  /** Called at the end of a shadow with the outcomes of this process's answers. */
  ended(predictor: string, rolloutId: string, outcomes: Readonly<Record<string, number>>): void;
  notKept(rolloutId: string, error: unknown): void;
}
