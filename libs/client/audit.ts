/** Reads pages of the audit. */

export interface AuditQuery {
  readonly predictor?: string;
  readonly limit?: number;
  readonly before?: string;
}

export type { AuditPage, AuditRow } from './wire.ts';
