/** The port of the run use cases on Postgres. Each call is one transaction, in the file with its name. */

import { randomUUID } from 'node:crypto';
import type { LossNotice } from '@tandem/prediction/events/notice-loss';
import type { ReportStore, RunStore } from '@tandem/prediction/runs/run-store';
import type pg from 'pg';
import { findReport } from '../generations/generation-reports.ts';
import { approveGeneration, listHeld } from './approve-generation.ts';
import { claimChunk, giveBackChunk, isDry, listClaimable, markLoaded, releaseChunk, renewLease } from './chunks.ts';
import { commitChunk } from './commit-chunk.ts';
import { planRun } from './plan.ts';
import { publishRun } from './publish.ts';
import { findRun, listFailures, listRuns, listUnfinished } from './run-rows.ts';
import { claimStep, giveBackStep, releaseStep, renewStep } from './run-steps.ts';
import { cancelRun, createRun, resumeRun } from './runs.ts';

export interface RunStoreOptions {
  /** The number of workers in a row that may claim a chunk or step without releasing it, before it fails. */
  readonly maxClaims?: number;
  /** The pool of feature statements, if it is a separate one. */
  readonly features?: pg.Pool;
}

export function createRunStore(pool: pg.Pool, { maxClaims, features = pool }: RunStoreOptions = {}): RunStore {
  const worker = randomUUID();
  return {
    create: (run) => createRun(pool, run),
    find: (id) => findRun(pool, id),
    list: (page) => listRuns(pool, page),
    failures: (runId, limit) => listFailures(pool, runId, limit),
    claimStep: (runId, step, leaseMs) => claimStep(pool, runId, step, leaseMs, maxClaims),
    renewStep: (step, leaseMs) => renewStep(pool, step, leaseMs),
    giveBackStep: (step, error, maxAttempts) => giveBackStep(pool, step, error, maxAttempts),
    releaseStep: (step) => releaseStep(pool, step),
    plan: (step, lost) => planRun({ pool, features }, step, lost),
    claimable: (runId, limit) => listClaimable(pool, runId, limit),
    claim: (runId, no, leaseMs) => claimChunk(pool, { worker, leaseMs, maxClaims }, runId, no),
    renew: (chunk, leaseMs) => renewLease(pool, chunk, leaseMs),
    giveBack: (chunk, error, maxAttempts) => giveBackChunk(pool, chunk, error, maxAttempts),
    release: (chunk) => releaseChunk(pool, chunk),
    isDry: (runId) => isDry(pool, runId),
    commit: (run, chunk, result) => commitChunk(pool, run, chunk, result),
    markLoaded: (runId, no) => markLoaded(pool, runId, no),
    publish: (step, lost, prove) => publishRun({ pool, features }, step, lost, prove),
    cancel: (runId) => cancelRun(pool, runId),
    resume: (runId) => resumeRun(pool, runId),
    unfinished: (predictor) => listUnfinished(pool, predictor),
  };
}

// The port of generations' reports on Postgres.

export function createReportStore(pool: pg.Pool, prove: LossNotice['prove']): ReportStore {
  return {
    find: (predictor, generation) => findReport(pool, predictor, generation),
    listHeld: (predictor) => listHeld(pool, predictor),
    approve: (approval) => approveGeneration(pool, approval, prove),
  };
}
