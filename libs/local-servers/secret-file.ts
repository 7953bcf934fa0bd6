/** A server's password: made once, kept in a file that only its owner can read, never written anywhere else. */
import { randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

/** Hexadecimal, so that it needs no escape in a URL, a config file or a protocol line. */
function createSecret(): string {
  return randomBytes(24).toString('hex');
}

/** The secret in `path`, made by `create` where there is none. The file has mode 0600, whatever the umask. */
export function readOrCreateSecret(path: string, create: () => string = createSecret): string {
  const existing = readSecret(path);
  if (existing !== undefined) return existing;
  const secret = create();
  writeFileSync(`${path}.new`, `${secret}\n`, { mode: 0o600 });
  chmodSync(`${path}.new`, 0o600);
  // Renamed when complete: a kill in between leaves no half-written password.
  renameSync(`${path}.new`, path);
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
