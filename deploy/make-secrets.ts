/**
 * Makes the passwords of the services that docker-compose.yml starts, and the pepper with which API keys are stored.
 * They are made at the first start and kept in volumes. So a fresh clone starts without manual steps, and no two
 * installations share a password. Each password is also written in the form that its readers need: the URL for Tandem,
 * the setting for Redis.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2] ?? '/run/tandem';
/**
 * A separate folder. The stores' containers mount the folder above, and must not read the pepper of the key digests
 * they hold.
 */
const pepperFolder = process.argv[3] ?? '/run/tandem-pepper';
const PEPPER = 'api-key-pepper';

const postgres = password('postgres');
const cache = password('cache');
const queue = password('queue');
// An earlier release kept the pepper among the passwords. It is reused, so that existing keys stay valid.
secret(pepperFolder, PEPPER, read(folder, PEPPER));
rmSync(join(folder, PEPPER), { force: true });
// Written at each start, so that no file is missing after a start that was killed.
write('database-url', `postgres://tandem:${postgres}@postgres:5432/tandem`);
write('redis-url', `redis://:${cache}@cache:6379`);
write('queue-redis-url', `redis://:${queue}@queue:6379`);
write('cache.conf', `requirepass ${cache}`);
write('queue.conf', `requirepass ${queue}`);

function password(service: string): string {
  return secret(folder, `${service}-password`);
}

/** @param instead the value for a missing file; if undefined, a new secret is made */
function secret(place: string, name: string, instead?: string): string {
  const known = read(place, name);
  if (known !== undefined) return known;
  // Uses only characters that need no escape in a URL or a setting.
  const made = instead ?? randomBytes(24).toString('hex');
  write(name, made, place);
  process.stdout.write(`made ${name}\n`);
  return made;
}

function read(place: string, name: string): string | undefined {
  try {
    return readFileSync(join(place, name), 'utf8').trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Writes a file that the accounts of other containers can read. Access is limited to containers that mount the volume.
 */
function write(name: string, text: string, place = folder): void {
  const file = join(place, name);
  // A start that was killed here may have left a read-only file.
  rmSync(`${file}.new`, { force: true });
  writeFileSync(`${file}.new`, `${text}\n`, { mode: 0o444, flush: true });
  renameSync(`${file}.new`, file);
}
