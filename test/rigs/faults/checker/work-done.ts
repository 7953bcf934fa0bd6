/**
 * Counts the work that the deployment did by itself. A session without a run that its budget limited, or without an
 * answer that a re-scoring had stored, did not test these features. This module judges no promise.
 */
import type { DoneRun, WorkSample } from '../history.ts';

/** Runs within a budget are those that left users on a base. */
const WORK = [
  'runs within a share',
  'runs within CPU minutes',
  'scheduled runs of changed users',
  'scheduled runs of everyone',
  'layered generations',
  're-scored answers',
] as const;

type Work = (typeof WORK)[number];

/** A lower bound for the count of each kind of work. */
export type WorkCounts = ReadonlyMap<Work, number>;

export interface WorkDone {
  take(sample: WorkSample): void;
  readonly counts: WorkCounts;
}

export function createWorkDone(): WorkDone {
  const counts = new Map<Work, number>(WORK.map((work) => [work, 0]));
  /** Maps an API process to the number that it reported last. */
  const told = new Map<string, number>();
  const add = (work: Work, times = 1) => void counts.set(work, (counts.get(work) ?? 0) + times);

  function takeRun({ budget, schedule, left }: DoneRun): void {
    if (schedule !== null)
      add(schedule === 'changed' ? 'scheduled runs of changed users' : 'scheduled runs of everyone');
    if (left !== null) add('layered generations');
    if (budget !== null && left) add('share' in budget ? 'runs within a share' : 'runs within CPU minutes');
  }

  return {
    counts,
    take({ runs, rescored }) {
      for (const run of runs) takeRun(run);
      for (const { name, pid, answers } of rescored) {
        const key = `${name} ${pid}`;
        add('re-scored answers', Math.max(0, answers - (told.get(key) ?? 0)));
        told.set(key, answers);
      }
    },
  };
}

/** Returns a sentence for each kind of work that never occurred. */
export function notDone(counts: WorkCounts): readonly string[] {
  return [...counts].flatMap(([work, times]) => (times > 0 ? [] : [`no ${work}: not tested in this session`]));
}
