/**
 * Reads assignments from Postgres for inference on given rows, which needs no certificate of a user. They are read at
 * most once a second. While Postgres does not answer, the last known assignments are used, whatever their age.
 */
import type { Authority, Certificate } from '@tandem/freshness/certificate';
import { isTandemError } from '@tandem/freshness/errors';

/**
 * Returns a certificate with the assignments. Rejects with `unavailable` if Postgres has never answered, and with
 * `protocol_unknown` if its last answer had a protocol number that this release does not know.
 */
export type KnownAssignments = () => Promise<Certificate>;

/** Milliseconds for which known assignments are used without asking Postgres again. */
const KNOWN_MS = 1_000;

export function createKnownAssignments({
  authority,
  now = () => performance.now(),
}: {
  readonly authority: Pick<Authority, 'certify'>;
  readonly now?: () => number;
}): KnownAssignments {
  let known: Certificate | undefined;
  let asking: Promise<Certificate> | undefined;
  let askAt = Number.NEGATIVE_INFINITY;
  /** Whether Postgres failed to answer the last request. */
  let isAway = false;

  function ask(): Promise<Certificate> {
    asking ??= authority
      .certify([])
      .then((certificate) => {
        known = certificate;
        isAway = false;
        return certificate;
      })
      .catch((error: unknown) => {
        isAway = true;
        // This release may not use the assignments that it read earlier either.
        if (isTandemError(error, 'protocol_unknown')) known = undefined;
        throw error;
      })
      .finally(() => {
        asking = undefined;
        askAt = now() + KNOWN_MS;
      });
    return asking;
  }

  return async function knownAssignments() {
    const before = known;
    if (before === undefined) return ask();
    if (now() < askAt) return before;
    const asked = ask().catch((error: unknown) => {
      if (known === undefined) throw error;
      return before;
    });
    if (!isAway) return asked;
    // After Postgres has failed to answer, requests no longer wait for it.
    asked.catch(() => {});
    return before;
  };
}
