/** What the API alone reads from the environment. */
import type { Section } from '@tandem/config/environment/environment';

export interface AnswerCacheSection {
  /** Memory for predictions that were read lately, in MB of 10^6 bytes. 0: none, each read asks Redis. */
  readonly megabytes: number;
}

/** `ANSWER_CACHE_MB` (64; 0: off). */
export const answerCache: Section<AnswerCacheSection> = (read) => ({
  megabytes: read.whole('ANSWER_CACHE_MB', { least: 0, most: 65_536, instead: 64 }),
});
