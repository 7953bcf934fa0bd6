/**
 * Tests the promises of docker-compose.yml and docs/containers.md on a real engine. One command starts everything, and the
 * README's lines work. Workers scale, a replica can be killed, data outlive the containers, and no log or image shows a secret.
 */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@tandem/client/create-client';
import type { Run } from '@tandem/client/wire';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ComposeProject, createComposeProject, root, run } from './compose.fixture.ts';

const JOBS = ['secrets', 'migrate', 'adopt', 'first-runs'];
const SERVERS = { postgres: 1, cache: 1, queue: 1, api: 2, worker: 1, proxy: 1 };
const CUSTOMERS = 2_357;

let project: ComposeProject;
const tandem = () => createClient({ url: project.url, source: 'compose-test' });
const read = (userId: string) => fetch(`${project.url}/v1/predictions/repurchase/${userId}`);
const inspectAll = async (service?: string) =>
  Promise.all((await project.containers(...(service ? [service] : []))).map(project.inspect));

beforeAll(async () => {
  project = await createComposeProject();
  await project.compose('build');
  await project.up();
});

afterAll(() => project?.remove());

describe('docker compose up --wait', () => {
  it('returns when every container is healthy and every user is scored', async () => {
    for (const [service, replicas] of Object.entries(SERVERS)) {
      const health = (await inspectAll(service)).map(({ State }) => State.Health?.Status);
      expect(health, service).toEqual(Array(replicas).fill('healthy'));
    }
    for (const job of JOBS) {
      expect(
        (await inspectAll(job)).map(({ State }) => [State.Status, State.ExitCode]),
        job,
      ).toEqual([['exited', 0]]);
    }
    const [first] = (await tandem().runs.list({ predictor: 'repurchase' })).runs;
    expect(first).toMatchObject({ state: 'done', usersScored: CUSTOMERS, usersFailed: 0 });
  });

  it("makes the README's curl lines work", async () => {
    const lines = await readCurlLines();
    expect(lines).toHaveLength(3);
    const answers: string[] = [];
    for (const line of lines) answers.push(await run('sh', ['-c', line]));
    expect(answers[0]).toMatch(/^HTTP\/1\.1 200 .*"source":"batch","reason":"fresh"/s);
    expect(answers[1]).toMatch(/^HTTP\/1\.1 202 .*"status":"accepted"/s);
    expect(answers[2]).toMatch(/^HTTP\/1\.1 200 .*fwd=stale.*"source":"live","reason":"context_newer"/s);
    expect((await read('42')).headers.get('cache-status')).toMatch(/^tandem; hit/);
  });

  it('runs no container as root; file systems are read-only and all capabilities are dropped', async () => {
    for (const { Name, Config, HostConfig } of await inspectAll()) {
      expect(Config.User, Name).toMatch(/^(1000:1000|postgres|redis|haproxy)$/);
      expect(HostConfig, Name).toMatchObject({ ReadonlyRootfs: true, CapDrop: ['ALL'], Privileged: false });
      expect(HostConfig.SecurityOpt, Name).toEqual(['no-new-privileges:true']);
    }
    for (const service of Object.keys(SERVERS)) {
      expect(await project.compose('exec', '-T', service, 'id', '-u'), service).not.toBe('0\n');
      await expect(project.compose('exec', '-T', service, 'touch', '/etc/x'), service).rejects.toThrow(/Read-only/);
    }
  });

  it('publishes only the port of the proxy, and only on this machine', async () => {
    const published = (await inspectAll()).flatMap(({ NetworkSettings }) =>
      Object.values(NetworkSettings.Ports ?? {}).flatMap((bindings) => bindings ?? []),
    );
    expect(published).toEqual([{ HostIp: '127.0.0.1', HostPort: new URL(project.url).port }]);
  });

  it('rejects a Host header that names another machine, as a web page could send by DNS rebinding', async () => {
    expect(await statusFor('tandem.example')).toBe(403);
    expect(await statusFor('localhost')).toBe(200);
  });
});

describe('what runs', () => {
  it('has as many workers as --scale sets', async () => {
    await project.up('--no-deps', '--no-recreate', '--scale', 'worker=3', 'worker');
    const health = (await inspectAll('worker')).map(({ State }) => State.Health?.Status);
    expect(health).toEqual(['healthy', 'healthy', 'healthy']);
    expect(await runEveryone()).toMatchObject({ state: 'done', usersScored: CUSTOMERS });
  });

  it('continues to answer while a replica of the API is killed: the proxy rejects no request', async () => {
    const [victim = ''] = await project.containers('api');
    let isOver = false;
    let answered = 0;
    const refused: string[] = [];
    const reading = Array.from({ length: 3 }, async (_, reader) => {
      for (let n = 0; !isOver; n++) {
        const response = await read(String(((reader * 500 + n) % 2_000) + 1));
        const text = await response.text();
        if (response.ok) answered++;
        // On a busy machine the API may answer 503 with Retry-After. Its problems name their instance; the proxy's do not.
        else if (!text.includes('"instance"')) refused.push(`${response.status} ${text}`);
      }
    });
    await expect.poll(() => answered, { timeout: 60_000 }).toBeGreaterThan(200);
    await run('docker', ['kill', victim]);
    const before = answered;
    await expect.poll(() => answered, { timeout: 60_000 }).toBeGreaterThan(before + 1_000);
    isOver = true;
    await Promise.all(reading);
    expect(refused).toEqual([]);
    await project.up('--no-deps', '--no-recreate', 'api');
    expect((await inspectAll('api')).map(({ State }) => State.Health?.Status)).toEqual(['healthy', 'healthy']);
  });

  it('answers stored predictions as unverified while Postgres is stopped', async () => {
    const noticed = async () =>
      (await project.compose('logs', 'proxy')).match(/backend '?ready'? has no server/g)?.length ?? 0;
    // The proxy also logs this line at its start, before an API is ready.
    const before = await noticed();
    await project.compose('stop', 'postgres');
    const unverified = async () => {
      const response = await read('45');
      return response.ok ? ((await response.json()) as { source: string; reason: string }) : response.status;
    };
    await expect.poll(unverified, { timeout: 60_000 }).toMatchObject({ source: 'stale', reason: 'unverified' });
    // Once the proxy's health checks see that no replica is ready, reads are still answered.
    await expect.poll(noticed, { timeout: 60_000 }).toBeGreaterThan(before);
    expect(await unverified()).toMatchObject({ source: 'stale', reason: 'unverified' });
    await project.up('--no-deps', '--no-recreate', 'postgres');
  });

  it('shows no secret in logs, containers, images or process lists', async () => {
    const read = ['exec', '-T', 'worker', 'sh', '-c', 'cat /run/tandem/*-password'];
    const secrets = (await project.compose(...read)).split('\n').filter(Boolean);
    expect(secrets.map((secret) => secret.length)).toEqual([48, 48, 48]);
    const images = ['tandem', 'tandem-example', 'tandem-proxy', 'tandem-secrets'];
    const said = [
      await project.compose('logs', '--no-color'),
      await run('docker', ['inspect', ...(await project.containers())]),
      await run('docker', ['image', 'inspect', ...images]),
      ...(await Promise.all(images.map((image) => run('docker', ['history', '--no-trunc', image])))),
      await project.compose('top'),
    ].join('\n');
    expect(said).toContain('api.started');
    expect(secrets.filter((secret) => said.includes(secret))).toEqual([]);
  });

  it.each([
    ['stop', 'start'],
    ['down', 'up'],
  ])('keeps its data over %s and %s', async (stop) => {
    const [event] = await tandem().sendEvents([{ type: 'order.placed', subject: '43' }]);
    const [latest] = await tandem().generations('repurchase');
    await project.compose(stop);
    await project.up();
    expect((await tandem().generations('repurchase'))[0]).toEqual(latest);
    const changed = async () => (await read('43')).json();
    const expected = { contextVersion: event?.contextVersion, source: 'live' };
    await expect.poll(changed, { timeout: 60_000 }).toMatchObject(expected);
    expect(await (await read('44')).json()).toMatchObject({ source: 'batch', generation: latest?.generation });
  });
});

describe('a rejected start', () => {
  const KEPT = ['postgres', 'cache', 'queue', 'proxy'];
  /** Expects the start to fail. It also changes a variable of the API, so that Compose recreates the API. */
  async function refuse(changed: ComposeProject, why: RegExp): Promise<void> {
    const [latest] = await tandem().generations('repurchase');
    const [kept, api] = [await project.containers(...KEPT), await project.containers('api')];
    await expect(changed.up()).rejects.toThrow(why);
    const health = async () => (await inspectAll('api')).map(({ State }) => State.Health?.Status);
    await expect.poll(health, { timeout: 120_000 }).toEqual(['healthy', 'healthy']);
    expect((await project.containers('api')).filter((id) => api.includes(id))).toEqual([]);
    expect(await project.containers(...KEPT)).toEqual(kept);
    expect(await (await read('44')).json()).toMatchObject({ source: 'batch', generation: latest?.generation });
  }

  it('a config: the previous config is still served, also by recreated replicas', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'refused-config-'));
    await writeFile(join(folder, 'tandem.config.ts'), 'export default { predictors: 12 };\n');
    await chmod(folder, 0o755);
    const files = ['docker-compose.yml', 'deploy/own-model.yml'];
    await refuse(
      project.with(files, { TANDEM_CONFIG: folder, LOG_LEVEL: 'debug' }),
      /predictors: is 12, not an object/,
    );
    await rm(folder, { recursive: true });
  });

  it('a migration: the previous config is still served', async () => {
    const sql = (text: string) =>
      project.compose('exec', '-T', 'postgres', 'psql', '--username=tandem', '--dbname=tandem', '--command', text);
    await sql(`insert into tandem.migrations values ('9999_of_a_newer_release', now()::text)`);
    await refuse(project.with(['docker-compose.yml'], { LOG_LEVEL: 'warn' }), /migrations do not match this release/);
    await sql(`delete from tandem.migrations where name = '9999_of_a_newer_release'`);
  });

  it('is fixed by a start without the faulty change', () => project.up());
});

/** Returns the lines that begin with `curl` in the README's section about the example, with this project's port. */
async function readCurlLines(): Promise<string[]> {
  const [, text = ''] = (await readFile(join(root, 'README.md'), 'utf8')).split(
    /^## (?:Try it|Serve your own model)$/m,
  );
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map((block) => block[1] ?? '');
  const lines = blocks.flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'));
  return lines
    .filter((line) => line.startsWith('curl '))
    .map((line) => line.replace('http://127.0.0.1:8080', project.url).replace('curl ', 'curl --silent --show-error '));
}

async function runEveryone(): Promise<Run> {
  const { runs } = tandem();
  const { id } = await runs.start({ predictor: 'repurchase', scope: 'all' });
  for await (const _ of runs.watch(id));
  return runs.show(id);
}

/** Sends a request with a Host header, which fetch does not allow. Returns the status. */
function statusFor(host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(`${project.url}/v1/predictions/repurchase/42`, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on('error', reject);
    asked.end();
  });
}
