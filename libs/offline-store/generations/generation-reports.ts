/**
 * Stores and reads generation reports. Each is written in the transaction that publishes its generation or holds it
 * back.
 */
import { TandemError } from '@tandem/freshness/errors';
import type { GenerationReport, Mover } from '@tandem/prediction/reports/generation-report';
import type { KeptReport } from '@tandem/prediction/runs/run-store';
import { type Db, listsOf, query } from '../sql/database.ts';
import { partitionOf } from '../sql/partition.ts';
import { changeRows, statements } from '../sql/statements.ts';
import type { ComparedGeneration } from './generation-reports-compare.ts';

/**
 * Stores a report, and replaces an earlier one. Only movers that are in the generation and not erased are stored. The
 * caller holds the lock of the settings, which every erasure acquires, so the erased users are known. A later erasure
 * removes its user from the report.
 */
export async function keepReport(db: Db, generationId: string, compared: ComparedGeneration): Promise<void> {
  const { against, movers, verdict, ...report } = compared;
  await changeRows(db, statements.deleteFrom('tandem.generation_reports').where('generation_id', '=', generationId));
  const known = statements.selectFrom('tandem.generations').select('id');
  const kept = {
    generation_id: generationId,
    against_generation_id: against ? known.where('id', '=', against.id) : null,
    ...{ verdict, report: JSON.stringify(report) },
  };
  await changeRows(db, statements.insertInto('tandem.generation_reports').values(kept));
  await query(db, {
    text: `insert into tandem.generation_movers (generation_id, user_id, before, now, delta)
      select $1, m.user_id, m.before, m.now, m.delta
      from unnest($2::text[], $3::float8[], $4::float8[], $5::float8[]) as m(user_id, before, now, delta)
      join ${partitionOf(generationId)} p on p.user_id = m.user_id
      where not exists (select from tandem.erasures t where t.user_id = p.user_id and p.context_version <= t.deleted_version)`,
    values: [generationId, ...listsOf(movers, 'userId', 'before', 'now', 'delta')],
  });
}

/** Deletes erased users from the movers, even in reports from after a readmission: a list of twenty may lack one. */
export async function deleteMovers(db: Db, numbers: readonly number[]): Promise<void> {
  await query(db, {
    text: `delete from tandem.generation_movers m using tandem.erasures t
      where t.number = any($1::bigint[]) and m.user_id = t.user_id`,
    values: [numbers],
  });
}

interface Row extends Pick<KeptReport, 'generation' | 'against' | 'madeAt'> {
  readonly id: string;
  readonly verdict: GenerationReport['verdict'] | null;
  readonly report: Omit<GenerationReport, 'verdict'>;
}

/**
 * Returns the report of a generation. Rejects with `unknown_generation` if there is none.
 * @param number the number of the generation; null: the newest generation with a report
 */
export async function findReport(db: Db, predictor: string, number: number | null): Promise<KeptReport> {
  const [row] = await query<Row>(db, {
    text: `select g.id, g.number as generation, b.number as against, r.verdict, r.report, r.made_at as "madeAt"
      from tandem.generations g left join tandem.generation_reports r on r.generation_id = g.id
      left join tandem.generations b on b.id = r.against_generation_id
      where g.predictor = $1 and case when $2::int is null then r.verdict is not null else g.number = $2 end
      order by g.number desc limit 1`,
    values: [predictor, number],
  });
  if (!row?.verdict) throw noReport(predictor, number, row !== undefined);
  const { id, generation, against, verdict, report, madeAt } = row;
  return { ...report, predictor, generation, against, verdict, madeAt, movers: await findMovers(db, id) };
}

async function findMovers(db: Db, generationId: string): Promise<readonly Mover[]> {
  return query<Mover>(db, {
    text: `select user_id as "userId", before, now, delta from tandem.generation_movers
      where generation_id = $1 order by abs(delta) desc, user_id`,
    values: [generationId],
  });
}

function noReport(predictor: string, number: number | null, exists: boolean): TandemError {
  if (number === null) {
    const remedy = 'wait until a run of all users has ended: tandem run list';
    return unknownGeneration(`No generation of ${predictor} has a report yet.`, remedy);
  }
  if (!exists) return noGeneration(predictor, number);
  const remedy = 'wait for its run: the report is made when the run has scored all users';
  return unknownGeneration(`Generation ${number} of ${predictor} has no report.`, remedy);
}

/** Returns the error for a number that no generation of the predictor has. */
export function noGeneration(predictor: string, number: number): TandemError {
  return unknownGeneration(
    `${predictor} has no generation ${number}.`,
    'use a number that tandem generation list, or GET /v1/predictors/{predictor}/generations, returns',
  );
}

function unknownGeneration(message: string, remedy: string): TandemError {
  return new TandemError('unknown_generation', message, { field: 'generation', remedy });
}
