/** Creates a server's password once, and keeps it only in a file that only its owner can read. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeWhole } from './process-identity.ts';

/** Returns a password in hexadecimal, which needs no escaping in a URL, a config file or a protocol line. */
function createSecret(): string {
  return randomBytes(24).toString('hex');
}

/**
 * Returns the secret in `path`, and creates it with `create` if there is none. The file has mode 0600, whatever the
 * umask.
 */
export function readOrCreateSecret(path: string, create: () => string = createSecret): string {
  const existing = readSecret(path);
  if (existing !== undefined) return existing;
  const secret = create();
  writeWhole(path, `${secret}\n`, 0o600);
  return secret;
}

function readSecret(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
