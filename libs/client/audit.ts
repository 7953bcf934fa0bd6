/** Who moved what, when and why, as the service tells it. */
export interface AuditRow {
  readonly number: string;
  readonly at: string;
  /** `key:<name>`, `api`, `cli`, `analysis`, … */
  readonly actor: string;
  readonly action: string;
  readonly predictor: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface AuditQuery {
  readonly predictor?: string;
  readonly limit?: number;
  readonly before?: string;
}

export interface AuditPage {
  readonly rows: readonly AuditRow[];
  /** What `before` is for the next page; null: this was the last. */
  readonly next: string | null;
}
