/**
 * Builds a history from kept answers and outcomes. An answer is kept with the features of its user. So they are known
 * at the answer, and back to its computation if no event came between. Between two answers the features are known if
 * both have the same context version. Otherwise they are unknown, and the event is assumed to have come just before the
 * later answer.
 */
import {
  isOfSameContext,
  type KeptExplanation,
  type KeptInputs,
} from '@tandem/prediction/explanations/kept-explanation';
import type { FeatureRow, Outcome, Step, ValueHistory } from './value-history.ts';

/** The assumed duration of a run. */
const RUN_MS = 10 * 60_000;

export interface UserOutcome {
  readonly userId: string;
  readonly name: string;
  /** The value; 0 says that the outcome did not happen. */
  readonly value: number;
  readonly time: Date;
}

export interface LoggedParts {
  readonly predictor: string;
  readonly kept: readonly KeptExplanation[];
  readonly outcomes: readonly UserOutcome[];
  /** The time after a read in which an outcome counts. */
  readonly withinMs: number;
  /** The prefix of an outcome's name, which the item follows; null: any outcome counts as 1. */
  readonly itemPrefix: string | null;
  /** Whether the outcome of a read is unknown if none was sent in time. Otherwise it did not happen. */
  readonly isAbsentUnknown: boolean;
  /** Postgres' clock. Reads with an open outcome window are omitted. */
  readonly now: Date;
  /** The number of users that a run scores, scaled to the share of users with kept answers. */
  readonly users: number;
}

/**
 * A history, the names of its features in the order of a context's row, and the numbers of omitted answers: too recent
 * for an outcome, without usable inputs, or computed from request features.
 */
export type LoggedHistory = ReturnType<typeof historyOfAnswers>;

type WithInputs = KeptExplanation & { readonly inputs: KeptInputs };

export function historyOfAnswers(parts: LoggedParts) {
  const withInputs = parts.kept.filter(hasInputs);
  // No stored prediction could have answered a call with request features.
  const usable = withInputs.filter(({ inputs }) => inputs.features.every(({ request }) => request !== 'sent'));
  const [newest] = usable.toSorted((a, b) => b.number - a.number);
  const ofQuery = newest?.inputs.features.filter(({ request }) => request === undefined) ?? [];
  const features = ofQuery.map(({ name }) => name);
  const outcomes = Map.groupBy(parts.outcomes, ({ userId }) => userId);
  const log = new AnswerLog(features, parts);
  for (const [userId, answers] of Map.groupBy(usable, ({ answer }) => answer.userId)) {
    log.addUser(
      answers.toSorted((a, b) => a.at.getTime() - b.at.getTime() || a.number - b.number),
      outcomes.get(userId) ?? [],
    );
  }
  const left = {
    tooYoung: log.tooYoung,
    withoutInputs: parts.kept.length - withInputs.length,
    withRequest: withInputs.length - usable.length,
  };
  return { history: log.finish(), features, left };
}

function hasInputs(one: KeptExplanation): one is WithInputs {
  return typeof one.inputs !== 'string' && one.inputs.fault === null;
}

class AnswerLog {
  readonly #features: readonly string[];
  readonly #parts: LoggedParts;
  readonly #timelines: Step[][] = [];
  readonly #contexts: FeatureRow[] = [];
  readonly #reads: { user: number; outcome: Outcome }[] = [];
  tooYoung = 0;

  constructor(features: readonly string[], parts: LoggedParts) {
    this.#features = features;
    this.#parts = parts;
  }

  /**
   * Adds the history of a user.
   * @param answers the answers, ordered by time like the outcomes
   */
  addUser(answers: readonly WithInputs[], outcomes: readonly UserOutcome[]): void {
    const steps: Step[] = [];
    const user = this.#timelines.push(steps) - 1;
    let before: WithInputs | undefined;
    for (const one of answers) {
      const at = one.at.getTime();
      const known = Math.max(knownSince(one), before ? before.at.getTime() : Number.NEGATIVE_INFINITY);
      if (before && !isSameContext(before, one)) {
        // The end is slightly later, so that a run at the time of the answer still knows the features.
        steps.push({ kind: 'context', at: Math.min(before.at.getTime() + 1, known), context: null });
        if (hadEvent(before, one)) steps.push({ kind: 'event', at: known });
      }
      steps.push({ kind: 'context', at: known, context: this.#contexts.push(this.#row(one)) - 1 });
      this.#addRead(steps, user, at, outcomes);
      before = one;
    }
  }

  finish(): ValueHistory {
    const { predictor, users } = this.#parts;
    const reads = this.#timelines.flatMap((steps) => steps.flatMap((step) => (step.kind === 'read' ? [step.at] : [])));
    const last = reads.reduce((most, at) => Math.max(most, at), 0);
    return {
      ...{ predictor, simulated: false, timelines: this.#timelines, contexts: this.#contexts, reads: this.#reads },
      from: Math.min(firstRun(this.#parts.kept) ?? least(reads) ?? 0, last),
      to: last + 1,
      users: Math.max(users, this.#timelines.length),
    };
  }

  #addRead(steps: Step[], user: number, at: number, outcomes: readonly UserOutcome[]): void {
    const { now, withinMs, itemPrefix, isAbsentUnknown } = this.#parts;
    if (at + withinMs > now.getTime()) {
      this.tooYoung++;
      return;
    }
    const inTime = outcomes.filter(({ time }) => time.getTime() > at && time.getTime() <= at + withinMs);
    const next = inTime.find(({ value }) => value !== 0);
    const none = inTime.length === 0 && isAbsentUnknown ? null : itemPrefix === null ? 0 : '';
    const outcome = next === undefined ? none : itemPrefix === null ? 1 : next.name.slice(itemPrefix.length);
    steps.push({ kind: 'read', at, read: this.#reads.push({ user, outcome }) - 1 });
  }

  /**
   * Returns the features of an answer. An earlier model version may have had other features; features that it lacks are
   * null.
   */
  #row({ inputs }: WithInputs): FeatureRow {
    const values = new Map(inputs.features.map(({ name, value }) => [name, value]));
    return this.#features.map((name) => values.get(name) ?? null);
  }
}

function least(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((a, b) => Math.min(a, b));
}

/**
 * Returns the time from which runs are counted. It is soon after the oldest generation was computed, so that the
 * features that each later daily run read are known at that run.
 */
function firstRun(kept: readonly KeptExplanation[]): number | undefined {
  const stored = kept.flatMap(({ answer: { generationNumber, computedAt } }) =>
    generationNumber === null || computedAt === null ? [] : [{ generation: generationNumber, computedAt }],
  );
  const oldest = least(stored.map(({ generation }) => generation));
  const moments = stored.flatMap(({ generation, computedAt }) => (generation === oldest ? [computedAt] : []));
  return moments.length === 0 ? undefined : moments.reduce((a, b) => Math.max(a, b)) + RUN_MS;
}

/**
 * Returns the time from which the features of an answer are known. If they are of the answer's context, this is the
 * time at which the answer was computed.
 */
function knownSince({ answer, inputs, at }: WithInputs): number {
  const moment = at.getTime();
  if (answer.computedAt === null || !isOfSameContext(answer, inputs)) return moment;
  return Math.min(moment, answer.computedAt);
}

function isSameContext(before: WithInputs, one: WithInputs): boolean {
  return before.inputs.history === one.inputs.history && before.inputs.contextVersion === one.inputs.contextVersion;
}

/**
 * Returns whether an event that concerns the predictor came between two answers. An older release did not record which
 * events do.
 */
function hadEvent(before: WithInputs, one: WithInputs): boolean {
  const last = one.answer.lastConcerningVersion;
  return before.inputs.history !== one.inputs.history || last === null || last > before.inputs.contextVersion;
}
