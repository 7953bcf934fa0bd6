/** The read of many users of a predictor, as endpoints of the API and of extensions use it. */
import type { FeaturesOfUsers } from '@tandem/embedded/read-users';
import type { ReadResult } from '@tandem/freshness/answer';
import type { WideEvent } from '@tandem/telemetry/wide-event';
import type { HeaderOptions } from './read-options.ts';

interface ManyUsers {
  readonly predictor: string;
  readonly userIds: readonly string[];
  readonly ofHeaders: HeaderOptions;
  /** Returns the place of a user id in the request. */
  fieldOf(i: number): string;
  readonly request?: FeaturesOfUsers | undefined;
}

interface ManyAnswers {
  /** Results in the order of the user ids. */
  readonly results: readonly ReadResult[];
  /**
   * Counts the reads and notifies the observers of answers. Called when the reply is made.
   * @param shown the results that the caller gets, if they differ; undefined for a user without a result
   */
  tell(shown?: readonly (ReadResult | undefined)[]): void;
}

/**
 * Answers the users. Rejects with `unknown_predictor`, or with `unavailable` or `protocol_unknown` if no user could be
 * answered.
 */
export type AnswerMany = (users: ManyUsers, event: WideEvent) => Promise<ManyAnswers>;
