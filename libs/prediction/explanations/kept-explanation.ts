/**
 * A kept answer: the answer as served and the inputs of its model. The inputs of a live answer are those of its
 * inference. A stored answer was computed long before, so its inputs are read again right after the reply, and may have
 * changed. An explanation says which of the two cases applies.
 */
import type { Answer } from '@tandem/freshness/answer';
import type { ModelVersion } from '@tandem/freshness/predictor';

/** A served answer; times in ms since 1970. */
export type ServedAnswer = Pick<Answer, (typeof SERVED_FIELDS)[number]>;

const SERVED_FIELDS = [
  'predictor',
  'userId',
  'prediction',
  'source',
  'reason',
  'modelNumber',
  'variant',
  'generationNumber',
  'computedAt',
  'ageSeconds',
  'contextVersion',
  'lastConcerningVersion',
  'predictedFromContextVersion',
  'history',
] as const;

/** Returns the answer without fields that only this process uses. */
export function asServed(answer: Answer): ServedAnswer {
  return Object.fromEntries(SERVED_FIELDS.map((name) => [name, answer[name]])) as unknown as ServedAnswer;
}

/**
 * A feature as the model gets it, and the source of its value: the feature source's row, or an event that overlays it.
 */
export interface KeptFeature {
  readonly name: string;
  readonly value: number | string | null;
  /** The event that set the value; null if the value is from the row. Times are in ms since 1970. */
  readonly event: {
    readonly source: string;
    readonly id: string;
    readonly time: number;
    readonly accepted: number;
  } | null;
  /**
   * For a request feature: whether the call sent it or the declared default applies. Absent for features of the feature
   * source.
   */
  readonly request?: 'sent' | 'default';
}

export interface KeptInputs {
  /** Whether the features were read for the answer's inference or after the reply. */
  readonly read: 'for_the_answer' | 'after_the_reply';
  /** Postgres' clock at the statement, ms since 1970. */
  readonly readAt: number;
  readonly history: string;
  readonly contextVersion: number;
  /** The features in the model's order. */
  readonly features: readonly KeptFeature[];
  /** Why the user cannot be scored from the inputs; null if the user can. */
  readonly fault: string | null;
}

/** Why there are no inputs: the feature source has no row of the user or did not answer. */
export type NoInputs = 'no_row' | 'not_read';

export interface ExplanationToKeep {
  readonly answer: ServedAnswer;
  readonly inputs: KeptInputs | NoInputs;
  /** The age of the answer in ms when it is stored. */
  readonly ageMs: number;
  readonly keepForMs: number;
}

export interface KeptExplanation {
  readonly id: string;
  /** The explanation's number, which orders lists. */
  readonly number: number;
  readonly modelVersionId: string;
  /** The time on Postgres' clock. */
  readonly at: Date;
  readonly keepUntil: Date;
  readonly answer: ServedAnswer;
  readonly inputs: KeptInputs | NoInputs;
}

export interface ExplanationQuery {
  readonly predictor?: string;
  readonly userId?: string;
  readonly limit: number;
  /** The number of the last explanation on the previous page. */
  readonly before?: number;
}

/** Port: the store of explanations. */
export interface ExplanationStore {
  /**
   * Stores explanations, and returns the ids of the stored ones. It omits answers of users that were erased since, and
   * answers from another history.
   */
  keep(explanations: readonly ExplanationToKeep[]): Promise<readonly string[]>;
  find(id: string): Promise<KeptExplanation | undefined>;
  /** Returns explanations, newest first. */
  list(query: ExplanationQuery): Promise<readonly KeptExplanation[]>;
}

/** Port: reads features again. */
export interface InputSource {
  /** Reads the inputs of several users of one predictor in one statement; users without a row are absent. */
  readInputs(version: ModelVersion, userIds: readonly string[]): Promise<ReadonlyMap<string, KeptInputs>>;
  /** Returns the model version with the number that an answer names. */
  versionOf(predictor: string, modelNumber: number): Promise<ModelVersion>;
}

/**
 * Returns whether an answer and its inputs belong to the same context version. Only then can the inputs reproduce the
 * answer.
 */
export function isOfSameContext(answer: ServedAnswer, { contextVersion, history }: KeptInputs): boolean {
  return answer.predictedFromContextVersion === contextVersion && answer.history === history;
}
