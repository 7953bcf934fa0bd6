/** Events: an application's reports of changes in users' contexts, and the port that makes them durable. */

/** A CloudEvent in the domain's form: `userId` is its subject. */
export interface ContextEvent {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly userId: string;
  /** Time by the sender's clock; null: the time of its acceptance. */
  readonly time: Date | null;
  /** Feature values by name; null if the event only reports that the user changed. */
  readonly data: Readonly<Record<string, unknown>> | null;
}

export interface EventResult extends Pick<ContextEvent, 'id' | 'source' | 'userId'> {
  readonly status: 'accepted' | 'duplicate' | 'erased';
  readonly contextVersion: number;
  /** `history.version`: the token for Prediction-Min-Context. */
  readonly contextToken: string;
  /** The first ten names in the event's data that no predictor uses, cut to 64 characters; absent if there are none. */
  readonly ignored?: readonly string[];
}

/** Port: applies events in one transaction, all or none; returns a result for each, in order. */
export interface EventStore {
  /**
   * Rejects with `invalid_input` or `event_conflict`, at the field `[index].name`. Rejects with `unavailable` if the
   * result of the commit is unknown; the same events may then be sent again. Rejects with `rate_limited` if the key
   * would exceed its quota of new users.
   * @param keyId the API key of the sender; without it, no quota applies
   */
  accept(events: readonly ContextEvent[], keyId?: string): Promise<readonly EventResult[]>;
}

/** Port: sends a user's newest version to the online store. This only saves work, so failures are ignored. */
export interface HintStore {
  raise(
    hints: readonly { readonly userId: string; readonly history: string; readonly version: number }[],
  ): Promise<void>;
}

export function contextToken(history: string, version: number): string {
  return `${history}.${version}`;
}

/** Returns the parts of a token, or null if it is malformed. */
export function parseContextToken(token: string): { history: string; version: number } | null {
  const parts = /^([0-9a-f]{16})\.(0|[1-9][0-9]{0,15})$/.exec(token);
  return parts ? { history: parts[1] ?? '', version: Number(parts[2]) } : null;
}
