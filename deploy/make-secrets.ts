/**
 * Passwords of the services that docker-compose.yml starts, and the pepper under which API keys are stored: made at the
 * first start, kept in volumes, the same ever after. So a fresh clone starts without manual steps, and no two
 * installations share a password. Beside each password is the form that its readers need: the URL for Tandem, the
 * setting for Redis.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2] ?? '/run/tandem';
/** Of its own: the stores' containers have the one above, and who reads their keys' digests must not read this beside. */
const pepperFolder = process.argv[3] ?? '/run/tandem-pepper';
const PEPPER = 'api-key-pepper';

const postgres = password('postgres');
const cache = password('cache');
const queue = password('queue');
// An earlier installation had it among the passwords: keys made under it stay valid.
secret(pepperFolder, PEPPER, read(folder, PEPPER));
rmSync(join(folder, PEPPER), { force: true });
// Written at each start: after a start that was killed half-way none is missing.
write('database-url', `postgres://tandem:${postgres}@postgres:5432/tandem`);
write('redis-url', `redis://:${cache}@cache:6379`);
write('queue-redis-url', `redis://:${queue}@queue:6379`);
write('cache.conf', `requirepass ${cache}`);
write('queue.conf', `requirepass ${queue}`);

function password(service: string): string {
  return secret(folder, `${service}-password`);
}

/** @param instead the value of a missing file; undefined: a new secret */
function secret(place: string, name: string, instead?: string): string {
  const known = read(place, name);
  if (known !== undefined) return known;
  // Of characters that need no escape in a URL or in a setting.
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

/** Readable for the accounts of other containers: who may read it is who mounts the volume. */
function write(name: string, text: string, place = folder): void {
  const file = join(place, name);
  // A start that was killed here left a file that cannot be written to.
  rmSync(`${file}.new`, { force: true });
  writeFileSync(`${file}.new`, `${text}\n`, { mode: 0o444, flush: true });
  renameSync(`${file}.new`, file);
}
