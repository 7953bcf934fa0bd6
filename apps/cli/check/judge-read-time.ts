/** Whether one user's features and prediction come in the time that a live read has for them. */
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

const MODEL_REMEDY =
  'raise freshness.liveTimeout, serve a quicker build (tandem build create), or say freshness.live: false, so that reads answer from what the batch stored';

/** Returns nothing where it is in time, or the predictor answers no read live. */
export function judgeReadTime(
  { name, policy }: LiveReader,
  { userId, featuresMs, inferenceMs }: Pick<Sample, 'userId' | 'featuresMs' | 'inferenceMs'>,
): Finding[] {
  const { live, liveTimeoutMs } = policy.freshness;
  const ms = featuresMs + inferenceMs;
  if (!live || ms <= liveTimeoutMs) return [];
  const limit = `and freshness.liveTimeout is ${inMs(liveTimeoutMs)}: reads of users who have changed would answer with what is stored`;
  if (featuresMs > liveTimeoutMs) {
    const text = `the features of user ${userId} took ${inMs(featuresMs)}, ${limit}`;
    return [warning(`${name} query`, text, REMEDY)];
  }
  const parts = `${inMs(featuresMs)} for the features, ${inMs(inferenceMs)} for the model`;
  return [
    warning(`${name} model`, `a live read of user ${userId} took ${inMs(ms)} (${parts}), ${limit}`, MODEL_REMEDY),
  ];
}

/** Not one user's features came, in a time that no read would wait. */
export function tooSlowForReads({ policy }: LiveReader, subject: string, userId: string, ms: number): Finding {
  const { live, liveTimeoutMs } = policy.freshness;
  const text = `the features of user ${userId} were not read within ${inMs(ms)}`;
  if (!live) return warning(subject, text, 'see that the tables have the indexes that the query needs');
  const most = `the query is too slow for live reads, which have ${inMs(liveTimeoutMs)} (freshness.liveTimeout)`;
  return failed(subject, `${text}: ${most}`, REMEDY);
}

/** Where not even user ids came: a query that is slow over everybody may still be quick for one, or not. */
export function noUserInTime({ policy }: LiveReader, subject: string, { what, ms }: SlowUsers): Finding {
  const most = inMs(policy.freshness.liveTimeoutMs);
  const text = `${what} were not read within ${inMs(ms)}, the query is slow for all users together; whether it is quick enough for a live read of one user (${most}, freshness.liveTimeout) was not seen`;
  return warning(subject, text, REMEDY);
}

/** A limit of 250 ms must not be told as 0.3 s. */
function inMs(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : duration(ms);
}
