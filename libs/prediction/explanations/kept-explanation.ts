/**
 * A kept answer: the answer as served and the inputs of its model. The inputs of a live
 * answer are those of its inference. A stored answer was computed long before, so its inputs are read once more right
 * after the reply, and may be others by then: an explanation says which of the two it has.
 */
import type { Answer } from '@tandem/freshness/answer';
import type { ModelVersion } from '@tandem/freshness/predictor';

/** A served answer; times in ms since 1970. */
export type ServedAnswer = Pick<
  Answer,
  | 'predictor'
  | 'userId'
  | 'prediction'
  | 'source'
  | 'reason'
  | 'modelNumber'
  | 'variant'
  | 'generationNumber'
  | 'computedAt'
  | 'ageSeconds'
  | 'contextVersion'
  | 'lastConcerningVersion'
  | 'predictedFromContextVersion'
  | 'history'
>;

/** A feature as the model gets it, and the source of its value: the feature source's row, or an event laid over it. */
export interface KeptFeature {
  readonly name: string;
  readonly value: number | string | null;
  /** The event; null: the row. Times in ms since 1970. */
  readonly event: {
    readonly source: string;
    readonly id: string;
    readonly time: number;
    readonly accepted: number;
  } | null;
  /**
   * For a request feature: whether the call sent it, or the declared default applies. Absent: it is of the feature
   * source.
   */
  readonly request?: 'sent' | 'default';
}

export interface KeptInputs {
  /** When the features were read: for the answer's inference, or after the reply. */
  readonly read: 'for_the_answer' | 'after_the_reply';
  /** Postgres' clock at the statement, ms since 1970. */
  readonly readAt: number;
  readonly history: string;
  readonly contextVersion: number;
  /** Returns the columns in the model's order. */
  readonly features: readonly KeptFeature[];
  /** Why the user cannot be scored from them; null: they can be. */
  readonly fault: string | null;
}

/** Why there are no inputs: the feature source has no row of the user, or did not answer. */
export type NoInputs = 'no_row' | 'not_read';

export interface ExplanationToKeep {
  readonly answer: ServedAnswer;
  readonly inputs: KeptInputs | NoInputs;
  /** How many ms ago it was answered. */
  readonly ageMs: number;
  readonly keepForMs: number;
}

export interface KeptExplanation {
  readonly id: string;
  /** Its place in a list. */
  readonly number: number;
  readonly modelVersionId: string;
  /** On Postgres' clock. */
  readonly at: Date;
  readonly keepUntil: Date;
  readonly answer: ServedAnswer;
  readonly inputs: KeptInputs | NoInputs;
}

export interface ExplanationQuery {
  readonly predictor?: string;
  readonly userId?: string;
  readonly limit: number;
  /** The number of the last one of the page before. */
  readonly before?: number;
}

/** Port: where explanations are kept. */
export interface ExplanationStore {
  /** Gives the ids of those that were; the others an erasure has overtaken, or are of another past of the database. */
  keep(explanations: readonly ExplanationToKeep[]): Promise<readonly string[]>;
  find(id: string): Promise<KeptExplanation | undefined>;
  /** Newest first. */
  list(query: ExplanationQuery): Promise<readonly KeptExplanation[]>;
}

/** Port: reads features once more. */
export interface InputSource {
  /** Reads the inputs of several users of one predictor in one statement; users without a row are absent. */
  readInputs(version: ModelVersion, userIds: readonly string[]): Promise<ReadonlyMap<string, KeptInputs>>;
  /** The version of this number, which an answer names. */
  versionOf(predictor: string, modelNumber: number): Promise<ModelVersion>;
}

/** Whether an answer was computed from the context that its inputs are of: only then could they give it again. */
export function isOfSameContext(answer: ServedAnswer, { contextVersion, history }: KeptInputs): boolean {
  return answer.predictedFromContextVersion === contextVersion && answer.history === history;
}
