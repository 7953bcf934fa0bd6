import type { LostPast } from './lost-past.ts';

/** For tests in which Postgres loses no commit: a report of a lost past fails the read. */
export const NOTHING_LOST: LostPast = {
  report: (lost) => Promise.reject(new Error(`a label counts as lost: ${JSON.stringify(lost)}`)),
};
