/** Whether one user's features come in the time that a live read has for them. */
import type { SlowUsers } from '@tandem/admission/sample-users';
import { type Finding, failed, warning } from '../output/finding.ts';
import { duration } from '../output/quantities.ts';
import type { Sample } from './predict-sample.ts';

/** A predictor's part that counts here. */
export interface LiveReader {
  readonly name: string;
  readonly policy: { readonly freshness: { readonly live: boolean; readonly liveTimeoutMs: number } };
}

const REMEDY =
  'create the index that the query needs for one user (see plan), keep what it computes over everybody in a table or a materialized view, or say freshness.live: false, so that reads answer from what the batch stored';

/** Nothing where it is in time, or nobody reads live. */
export function judgeReadTime(
  { name, policy }: LiveReader,
  { userId, featuresMs }: Pick<Sample, 'userId' | 'featuresMs'>,
): Finding[] {
  const { live, liveTimeoutMs } = policy.freshness;
  if (!live || featuresMs <= liveTimeoutMs) return [];
  const text = `the features of user ${userId} took ${duration(featuresMs)}, and freshness.liveTimeout is ${duration(liveTimeoutMs)}: reads of users who have changed would answer with what is stored`;
  return [warning(`${name} query`, text, REMEDY)];
}

/** Not one user's features came, in a time that no read would wait. */
export function tooSlowForReads({ policy }: LiveReader, subject: string, userId: string, ms: number): Finding {
  const { live, liveTimeoutMs } = policy.freshness;
  const text = `the features of user ${userId} were not read within ${duration(ms)}`;
  if (!live) return warning(subject, text, 'see that the tables have the indexes that the query needs');
  const most = `the query is too slow for live reads, which have ${duration(liveTimeoutMs)} (freshness.liveTimeout)`;
  return failed(subject, `${text}: ${most}`, REMEDY);
}

/** Where not even user ids came: a query that is slow over everybody may still be quick for one, or not. */
export function noUserInTime({ policy }: LiveReader, subject: string, { what, ms }: SlowUsers): Finding {
  const most = duration(policy.freshness.liveTimeoutMs);
  const text = `${what} were not read within ${duration(ms)}, the query is slow over everybody; whether it is quick enough for a live read of one user (${most}, freshness.liveTimeout) was not seen`;
  return warning(subject, text, REMEDY);
}
