/**
 * Starts a real Redis with TLS in addition to its plain port, with a certificate of a local authority, and with one
 * user.
 */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findFreePort } from '@tandem/local-servers/ports';
import { createRedisServers } from './redis-servers.ts';

/**
 * Starts the server. Returns the address for a user without administration rights (`rediss://…`), and the file with the
 * authority's certificate, for NODE_EXTRA_CA_CERTS.
 */
export async function startSecuredRedis() {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-redis-tls-'));
  const servers = await createRedisServers();
  const stop = async () => {
    await servers.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const { key, certificate, authority } = await makeCertificate(folder);
    const port = await findFreePort();
    const server = await servers.start({
      ...{ 'tls-port': port, 'tls-key-file': key, 'tls-cert-file': certificate, 'tls-ca-cert-file': authority },
      ...{ 'tls-auth-clients': 'no', save: '""', 'maxmemory-policy': 'noeviction' },
    });
    const rights = ['~tandem:*', '~{tandem}*', '&*', '+@all', '-@admin', '-flushall', '-flushdb', '-keys', '+info'];
    await server.send('acl', 'SETUSER', 'app', 'on', `>${servers.password}`, ...rights);
    return { url: `rediss://app:${servers.password}@localhost:${port}`, authority, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function makeCertificate(folder: string) {
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: folder });
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await openssl('req', '-x509', ...made, '-subj', '/CN=tests', '-keyout', 'ca.key', '-out', 'ca.crt');
  await openssl('req', ...made, '-subj', '/CN=localhost', '-keyout', 'redis.key', '-out', 'redis.csr');
  writeFileSync(file('names'), 'subjectAltName=DNS:localhost');
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
  await openssl('x509', '-req', '-in', 'redis.csr', ...signed, '-out', 'redis.crt');
  return { key: file('redis.key'), certificate: file('redis.crt'), authority: file('ca.crt') };
}
