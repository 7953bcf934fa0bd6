/** The types of the audit: the query of a page, the page and its rows. */

export interface AuditQuery {
  readonly predictor?: string;
  readonly limit?: number;
  readonly before?: string;
}

export type { AuditPage, AuditRow } from './wire.ts';
