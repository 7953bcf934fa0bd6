/** The reasons of answers, with their text for operators. */

interface ReasonKind {
  readonly text: string;
  /**
   * Why the cache did not answer, if the answer was inferred: `fwd` of Cache-Status (RFC 9211). With `miss`, a stored
   * prediction exists, but it may not be used.
   */
  readonly forward: 'uri-miss' | 'request' | 'miss' | 'stale';
}

export const REASONS = Object.freeze({
  fresh: { text: 'stored, and no later event concerns this predictor', forward: 'stale' },
  context_newer: { text: 'the context is newer than the stored prediction', forward: 'stale' },
  missing: { text: 'no prediction was stored for this user', forward: 'uri-miss' },
  expired: { text: 'the stored prediction is older than maxAge', forward: 'stale' },
  version_changed: { text: 'the stored prediction is of another model version', forward: 'miss' },
  rolled_back: {
    text: 'after a rollback: the stored prediction is of the restored generation, or may no longer be used',
    forward: 'miss',
  },
  requested: { text: 'the caller requested live inference', forward: 'request' },
  features_failed: { text: 'the feature query fails for this user; tandem explain shows the error', forward: 'stale' },
  live_failed: { text: 'the model could not be run, or its features could not be read', forward: 'stale' },
  features_unusable: { text: "the model cannot take the user's features; tandem explain shows why", forward: 'stale' },
  output_unusable: {
    text: "the model returns no finite number for the user's features; tandem explain shows them",
    forward: 'stale',
  },
  live_timeout: { text: 'the model did not answer in time', forward: 'stale' },
  overloaded: { text: 'the model is overloaded', forward: 'stale' },
  unverified: { text: 'Postgres did not answer, so the prediction may be outdated', forward: 'stale' },
}) satisfies Readonly<Record<string, ReasonKind>>;

/** The reason why the source answers. */
export type Reason = keyof typeof REASONS;

/** Every reason. */
export const REASON_NAMES = Object.freeze(Object.keys(REASONS) as Reason[]);
