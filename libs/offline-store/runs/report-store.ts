/** The port of generations' reports on Postgres. */
import type { LossNotice } from '@tandem/prediction/events/notice-loss';
import type { ReportStore } from '@tandem/prediction/runs/report-store';
import type pg from 'pg';
import { findReport } from '../generations/generation-reports.ts';
import { approveGeneration } from './approve-generation.ts';

export function createReportStore(pool: pg.Pool, prove: LossNotice['prove']): ReportStore {
  return {
    find: (predictor, generation) => findReport(pool, predictor, generation),
    approve: (approval) => approveGeneration(pool, approval, prove),
  };
}
