/** Creates a server's password once, and keeps it only in a file that only its owner can read. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeWhole } from './process-identity.ts';

/**
 * Returns the secret in `path`, and creates it if there is none. The file has mode 0600, whatever the
 * umask.
 */
export function readOrCreateSecret(path: string): string {
  const existing = readSecret(path);
  if (existing !== undefined) return existing;
  // Hexadecimal needs no escaping in a URL, a config file or a protocol line.
  const secret = randomBytes(24).toString('hex');
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
