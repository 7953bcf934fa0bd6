/**
 * The number of the freshness protocol. The schema states the number that it follows, and every certificate returns it.
 * A process that does not know the number answers nothing, not even `unverified`. Labels, floors and the count of
 * erasures may have another meaning under another number, so the process could serve an erased user.
 */
import { TandemError } from './errors.ts';

/**
 * The number that this release knows. It rises when the meaning of labels, certificates, overlay floors or erasure
 * counts changes.
 */
export const PROTOCOL = 1;

/** Throws `protocol_unknown` unless this release knows the protocol number of the certificate. */
export function assertProtocol(found: number): void {
  if (found !== PROTOCOL) throw protocolUnknown(found);
}

/**
 * Returns the error of a schema with a protocol that this release does not know.
 * @param found the number that the schema states
 */
export function protocolUnknown(found: number): TandemError {
  return new TandemError(
    'protocol_unknown',
    `The database follows freshness protocol ${found}; this release knows protocol ${PROTOCOL} only.`,
    {
      retryAfter: 30,
      remedy: found < PROTOCOL ? 'run `tandem migrate`' : 'run the release that migrated the database, or a newer one',
    },
  );
}
