/** Content-Digest (RFC 9530) as far as files need it: the SHA-256 of the body as it was sent. */
import { RequestError } from '@tandem/http-server/request-error';

/** A member of the dictionary, base64 between colons. */
const SHA_256 = /^sha-256[ \t]*=[ \t]*:([A-Za-z0-9+/]{43}=):$/;
const MEMBER = /^[a-z*][a-z0-9_.*-]*[ \t]*=[ \t]*:[A-Za-z0-9+/]*={0,2}:$/;

/** In hex; undefined where the header is not there, or knows other algorithms alone. Throws `malformed_request`. */
export function digestIn(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const members = header.split(',').map((member) => member.trim());
  if (!members.every((member) => MEMBER.test(member))) throw malformed();
  const sha256 = members.findLast((member) => member.startsWith('sha-256'));
  if (sha256 === undefined) return undefined;
  const digest = SHA_256.exec(sha256)?.[1];
  if (digest === undefined) throw malformed();
  return Buffer.from(digest, 'base64').toString('hex');
}

function malformed(): RequestError {
  return new RequestError('malformed_request', 'Content-Digest cannot be read.', {
    field: 'Content-Digest',
    remedy: 'send sha-256=:<base64 of the SHA-256 of the body>: (RFC 9530), or leave it out',
  });
}
