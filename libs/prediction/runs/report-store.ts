/** Port of the comparison of generations: where reports are kept, and how one that was held back is put in force. */

import type { GenerationReport, Mover } from '../reports/generation-report.ts';
import type { Generation } from './generations.ts';

/** A report as it is kept. */
export interface KeptReport extends GenerationReport {
  readonly predictor: string;
  /** Number of the generation. */
  readonly generation: number;
  /** Number of the one that it was compared with; null: with none, or it is long gone. */
  readonly against: number | null;
  /** Furthest first; without who was erased since. */
  readonly movers: readonly Mover[];
  readonly madeAt: Date;
}

export interface Approval {
  readonly predictor: string;
  /** The generation's number. */
  readonly generation: number;
  /** Who approves. */
  readonly actor: string;
}

export interface ReportStore {
  /** @param generation its number; null: of the newest that has a report. Rejects with `unknown_generation` */
  find(predictor: string, generation: number | null): Promise<KeptReport>;
  /**
   * Publishes what was held back and puts it in force, in one transaction with its audit row; again it changes nothing.
   * Rejects with `unknown_generation`, or `run_conflict` where it was not held back or may not be put in force any more.
   */
  approve(approval: Approval): Promise<Generation>;
}
