/**
 * The assignments of Postgres, for inference that reads no user and so needs no certificate. They are read at most once a second.
 * While Postgres does not answer, the last known assignments are used, however old.
 */
import type { Authority, Certificate } from '@tandem/freshness/certificate';
import { isTandemError } from '@tandem/freshness/errors';

interface KnownAssignmentsDependencies {
  readonly authority: Pick<Authority, 'certify'>;
  readonly now?: () => number;
}

/**
 * Returns the certificate to use. Rejects with `unavailable` if Postgres has never answered, and with `protocol_unknown` once
 * it has answered under a protocol that this release does not know.
 */
export type KnownAssignments = () => Promise<Certificate>;

/** How long known assignments are used before Postgres is asked again, in ms. */
const KNOWN_MS = 1_000;

export function createKnownAssignments({
  authority,
  now = () => performance.now(),
}: KnownAssignmentsDependencies): KnownAssignments {
  let known: Certificate | undefined;
  let asking: Promise<Certificate> | undefined;
  let askAt = Number.NEGATIVE_INFINITY;
  /** Whether Postgres did not answer the last time. */
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
        // This release may not use what it knew before either.
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
    // Once Postgres has not answered, no request waits for it.
    asked.catch(() => {});
    return before;
  };
}
