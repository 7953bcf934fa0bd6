/** Events: what an application says of a user's context, and the port that makes it durable. */

/** A CloudEvent of which the wire format is done with: `userId` is its subject. */
export interface ContextEvent {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly userId: string;
  /** When it happened by the sender's clock; null: when it was accepted. */
  readonly time: Date | null;
  /** Feature values by name; null: the event says only that the user changed. */
  readonly data: Readonly<Record<string, unknown>> | null;
}

export interface EventResult {
  readonly id: string;
  readonly source: string;
  readonly status: 'accepted' | 'duplicate' | 'erased';
  readonly userId: string;
  readonly contextVersion: number;
  /** `history.version`: what a read may demand with Prediction-Min-Context. */
  readonly contextToken: string;
  /** Names in the event's data that no predictor takes, the first ten, cut to 64 characters; absent: there is none. */
  readonly ignored?: readonly string[];
}

/** Port: applies events in one transaction, all or none; a result for each, in order. */
export interface EventStore {
  /**
   * Rejects with `invalid_input` or `event_conflict`, field `[index].name`; `unavailable` where it is not known whether the
   * commit took place: the same events may be sent again.
   */
  accept(events: readonly ContextEvent[]): Promise<readonly EventResult[]>;
}

/** Port: tells the online store a user's newest version; an efficiency, its failure is ignored. */
export interface HintStore {
  raise(
    hints: readonly { readonly userId: string; readonly history: string; readonly version: number }[],
  ): Promise<void>;
}

export function contextToken(history: string, version: number): string {
  return `${history}.${version}`;
}

/** The parts of a token, or null where it is not one. */
export function parseContextToken(token: string): { history: string; version: number } | null {
  const parts = /^([0-9a-f]{16})\.(0|[1-9][0-9]{0,15})$/.exec(token);
  return parts ? { history: parts[1] ?? '', version: Number(parts[2]) } : null;
}
