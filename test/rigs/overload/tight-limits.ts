/** Runs a service with very little memory or very few file descriptors under many more requests than it can answer. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { demandFrom } from './closed-loop.ts';
import { runOpenLoop } from './open-loop.ts';
import { openSlowClients } from './slow-clients.ts';
import { STRICT } from './slow-predictors.ts';
import { type Tally, tallyOf } from './tally.ts';
import type { LoadedApi, World } from './world.ts';

const run = promisify(execFile);

export interface TightResult {
  readonly load: Tally;
  /** The number of probes with status 200. A probe is sent every quarter of a second on a new connection. */
  readonly alive: number;
  readonly probes: number;
  /** The different answers of `/readyz` under load, in the order of their first occurrence. */
  readonly readiness: readonly string[];
  readonly hasEnded: boolean;
  /** The answer of `/readyz` some time after the load. */
  readonly afterwards: string;
}

export interface TightLoad {
  readonly users: number;
  readonly ratePerSecond: number;
  readonly seconds: number;
  /** The number of further connections of clients that send no whole request. */
  readonly held: number;
}

/** Runs the load on an API with a limit of open files, which is set before the API reads it. */
export async function withFiles(world: World, files: number, load: TightLoad): Promise<TightResult> {
  const api = await world.startApi({}, (pid) => run('prlimit', ['--pid', `${pid}`, `--nofile=${files}:${files}`]));
  return bear(api, load);
}

const MEMORY = '/sys/fs/cgroup/memory';

/** Runs the load on an API in a memory cgroup (version 1). Returns undefined if this machine cannot make a cgroup. */
export async function withMemory(world: World, megabytes: number, load: TightLoad): Promise<TightResult | undefined> {
  const group = `${MEMORY}/tandem-overload-${process.pid}`;
  if (!existsSync(`${MEMORY}/memory.limit_in_bytes`)) return undefined;
  try {
    mkdirSync(group);
  } catch {
    return undefined;
  }
  try {
    writeFileSync(`${group}/memory.limit_in_bytes`, `${megabytes}M`);
    // A child starts in the cgroup of its parent, so this counts all memory of the API from its start.
    writeFileSync(`${group}/cgroup.procs`, `${process.pid}`);
    const starting = world.startApi();
    writeFileSync(`${MEMORY}/cgroup.procs`, `${process.pid}`);
    const api = await starting;
    const result = await bear(api, load);
    await end(api);
    return result;
  } finally {
    rmdirSync(group);
  }
}

async function bear(api: LoadedApi, { users, ratePerSecond, seconds, held }: TightLoad): Promise<TightResult> {
  const request = demandFrom(STRICT, users);
  const loading = runOpenLoop({
    port: api.port,
    request,
    ratePerSecond,
    seconds,
    maxConnections: 1_000,
    timeoutMs: 5_000,
  });
  const holding = openSlowClients(api.port, held, ['headers', 'silent']);
  const readiness = new Set<string>();
  let [probes, alive] = [0, 0];
  for (const until = performance.now() + seconds * 1e3; performance.now() < until; ) {
    probes++;
    if ((await ask(api, '/livez'))?.status === 200) alive++;
    readiness.add((await ask(api, '/readyz'))?.said ?? 'no answer');
    await pause(250);
  }
  (await holding).end();
  const load = tallyOf(await loading);
  await pause(CALM_MS);
  const afterwards = (await ask(api, '/readyz'))?.said ?? 'no answer';
  return { load, alive, probes, readiness: [...readiness], hasEnded: api.hasEnded(), afterwards };
}

const CALM_MS = 8_000;

async function ask({ url }: LoadedApi, path: string): Promise<{ status: number; said: string } | undefined> {
  try {
    const response = await fetch(url + path, { headers: { connection: 'close' }, signal: AbortSignal.timeout(5_000) });
    const { status, parts = [] } = (await response.json()) as {
      status: string;
      parts?: { name: string; status: string }[];
    };
    const failing = parts.filter((part) => part.status !== 'ok').map(({ name }) => name);
    return { status: response.status, said: [status, ...failing].join(' ') };
  } catch {
    return undefined;
  }
}

async function end(api: LoadedApi): Promise<void> {
  api.kill('SIGKILL');
  await api.ended;
  // The children notice the end of the API, and exit.
  for (let tries = 0; tries < 40 && existsSync(`/proc/${api.pid}`); tries++) await pause(50);
  await pause(1_000);
}
