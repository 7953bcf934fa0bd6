/**
 * Samples the background work of the deployment: the runs that are done, and the answers that re-scorings had stored.
 */
import { setInterval } from 'node:timers';
import type { Budget } from '@tandem/prediction/runs/budget';
import { COUNT, type Pool } from '../../../e2e/counts.fixture.ts';
import { type DoneRun, type HistorySink, monotonicNow, type WorkSample } from '../history.ts';

export interface Working {
  /** A pool that connects to Postgres without the proxy. */
  readonly pool: Pool;
  readonly apis: readonly { readonly name: string; readonly url: string | null; pid(): number }[];
}

export interface WorkSampling {
  /** Resolves after a last sample. */
  stop(): Promise<void>;
}

const ANSWERED_WITHIN_MS = 2_000;

export function sampleWork(working: Working, sink: HistorySink, everyMs = 5_000): WorkSampling {
  const told = new Set<string>();
  let looking: Promise<void> | undefined;

  async function look(): Promise<void> {
    const at = monotonicNow();
    const [done, rescored] = await Promise.all([doneRuns(working), rescoredAnswers(working)]);
    const runs = done.filter(({ id }) => !told.has(id));
    for (const { id } of runs) told.add(id);
    sink.write({ kind: 'work', at, ended: monotonicNow(), runs, rescored });
  }

  const begin = () => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
    return looking;
  };
  const timer = setInterval(begin, everyMs);
  return {
    async stop() {
      clearInterval(timer);
      await looking;
      await begin();
    },
  };
}

/** Returns the runs of the rig's predictor that are done, or none if Postgres does not answer. */
async function doneRuns({ pool }: Working): Promise<readonly DoneRun[]> {
  const found = await pool
    .query<{ id: string; budget: Budget | null; schedule: DoneRun['schedule']; left: number | null }>({
      text: `select r.id::text, r.budget, g.users_left::int as left,
          case when r.reason = 'schedule' then case when r.of_changed then 'changed' else 'everyone' end end as schedule
        from tandem.runs r left join tandem.generations g on g.run_id = r.id and g.published_at is not null
        where r.predictor = $1 and r.state in ('done', 'done_with_errors')`,
      values: [COUNT],
    })
    .catch(() => ({ rows: [] }));
  return found.rows;
}

/** Returns the re-scored answers of each API that answers. */
async function rescoredAnswers({ apis }: Working): Promise<WorkSample['rescored']> {
  const counted = apis.map(async ({ name, url, pid }) => {
    const asked = pid();
    const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(ANSWERED_WITHIN_MS) });
    return { name, pid: asked, answers: hitsIn(await answer.text()) };
  });
  const settled = await Promise.allSettled(counted);
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

/** Returns the sum over all predictors. */
export function hitsIn(exposition: string): number {
  const hits = exposition.matchAll(/^tandem_refresh_hits_total\{[^}]*\} (\d+)$/gm);
  return [...hits].reduce((sum, [, value]) => sum + Number(value), 0);
}
