/**
 * Measures which files, and how many lines of their functions, are executed in one cached read, one live read, one
 * event and one chunk. The figures show how much code a reader must follow.
 *
 * API and inference child are the product's own processes, measured over their inspectors. A chunk runs in this process
 * with the parts of a worker, because a real worker also plans, publishes and looks for work while a chunk runs.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@tandem/client/create-client';
import { findFreePort } from '@tandem/local-servers/ports';
import { createRunChunk, type RunChunk } from '@tandem/prediction/runs/run-chunk';
import { planNow } from '@tandem/prediction/runs/steps.fixture';
import { openWorkerParts, type WorkerParts } from '../bench/run-everyone.ts';
import { adoptBench, type BenchServers, FIRST_USER, startServers, startWorker } from '../bench/service.ts';
import { attach, attachToSelf, type CoverageSession, type CoveredScript } from './coverage-session.ts';
import { type Footprint, footprintOf } from './footprint.ts';

export const root = resolve(import.meta.dirname, '../../..');
const USERS = 2_100;
const REPETITIONS = 5;
/** Each chunk of a run is one repetition, except the first chunk, which also starts a child, and the last chunk. */
const CHUNK_SIZE = USERS / (REPETITIONS + 2);
/** The address of the inspector that Node opens at SIGUSR1. */
const SIGNALLED_INSPECTOR = 'http://127.0.0.1:9229/json/list';
/** The pause before an operation, in which earlier work ends. */
const SETTLE_MS = 300;
/**
 * The pause after an answer. It is long enough for work that follows the answer, but shorter than the pauses of
 * background loops.
 */
const AFTER_MS = 30;
/** The next user. Each user is read once. */
let nextUser = FIRST_USER;

interface InspectedApi {
  readonly url: string;
  /** Returns the functions that API and inference child ran since the last call. */
  take(): Promise<readonly CoveredScript[]>;
  stop(): Promise<void>;
}

/** Returns the footprint of each operation by its name. Starts its own servers and processes, and ends them. */
export async function measureFootprints(): Promise<ReadonlyMap<string, Footprint>> {
  const servers = await startServers();
  try {
    await adoptBench(servers, USERS, CHUNK_SIZE);
    const api = await startInspectedApi(servers);
    await predictEveryone(servers, api);
    const footprints = new Map<string, Footprint>();
    for (const operation of operationsOn(api)) footprints.set(operation.name, await measure(api, operation));
    await api.stop();
    footprints.set('chunk', await measureChunk(servers));
    return footprints;
  } finally {
    await servers.stop();
  }
}

async function startInspectedApi({ env, own }: BenchServers): Promise<InspectedApi> {
  const port = await findFreePort();
  const child = spawn(process.execPath, ['--inspect=127.0.0.1:0', 'apps/api/main.ts'], {
    cwd: root,
    env: { PATH: process.env.PATH, ...env, PORT: String(port), INFERENCE_PROCESSES: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  own(child);
  const inspector = await lineOf(child.stderr, /Debugger listening on (ws:\S+)/);
  child.stderr.resume();
  const started = lineOf(child.stdout, /"(api\.started)"/);
  const parent = await attach(inspector);
  await started;
  child.stdout.resume();
  const model = await attachToInferenceChild(child.pid ?? -1);
  return {
    url: `http://127.0.0.1:${port}`,
    take: async () => [...(await parent.take()), ...(await model.take())],
    async stop() {
      // A process with a debugger attached does not exit.
      parent.close();
      model.close();
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

async function lineOf(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<string> {
  for await (const line of createInterface({ input: stream })) {
    const found = pattern.exec(line)?.[1];
    if (found !== undefined) return found;
  }
  throw new Error(`the API ended before it wrote ${pattern}`);
}

/** Connects to an inference child. Children get no environment and no flags, so SIGUSR1 opens their inspector. */
async function attachToInferenceChild(parent: number): Promise<CoverageSession> {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ').map(Number);
  const child = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('libs/inference/'));
  if (child === undefined) throw new Error(`process ${parent} has no inference child`);
  process.kill(child, 'SIGUSR1');
  for (let attempt = 0; attempt < 50; attempt++) {
    await sleep(100);
    const response = await fetch(SIGNALLED_INSPECTOR).catch(() => null);
    const [target] = response ? ((await response.json()) as { webSocketDebuggerUrl: string }[]) : [];
    if (target) return attach(target.webSocketDebuggerUrl);
  }
  throw new Error(`no inspector of process ${child} answers at ${SIGNALLED_INSPECTOR}`);
}

async function predictEveryone(servers: BenchServers, { url }: InspectedApi): Promise<void> {
  const worker = await startWorker(servers);
  const tandem = createClient({ url });
  let run = await tandem.runs.start({ predictor: 'bench', scope: 'all' });
  for await (run of tandem.runs.watch(run.id));
  await worker.stop();
  if (run.state !== 'done') throw new Error(`the run ended as ${run.state}: ${run.error}`);
}

interface Operation {
  readonly name: string;
  readonly before: (userId: string) => Promise<unknown>;
  readonly run: (userId: string) => Promise<string>;
  readonly expected: string;
}

function operationsOn({ url }: InspectedApi): readonly Operation[] {
  const tandem = createClient({ url });
  const read = async (userId: string) => (await tandem.predict('bench', userId)).answer.source;
  const sendEvent = async (userId: string) => {
    const [result] = await tandem.sendEvents([{ subject: userId, type: 'footprint.measured' }]);
    return result?.status ?? 'no result';
  };
  const nothing = async () => {};
  return [
    { name: 'cached read', before: nothing, run: read, expected: 'batch' },
    { name: 'live read', before: sendEvent, run: read, expected: 'live' },
    { name: 'event', before: nothing, run: sendEvent, expected: 'accepted' },
  ];
}

/** Measures an operation. Each repetition uses another user, whose prediction is not in the API's memory. */
async function measure({ take }: InspectedApi, { before, run, expected }: Operation): Promise<Footprint> {
  const repetitions: (readonly CoveredScript[])[] = [];
  for (let n = 0; n <= REPETITIONS; n++) {
    const userId = String(nextUser++);
    await before?.(userId);
    await sleep(SETTLE_MS);
    await take();
    const outcome = await run(userId);
    if (outcome !== expected) throw new Error(`expected ${expected}, got ${outcome}`);
    await sleep(AFTER_MS);
    // The first repetition also opens connections and prepares statements.
    if (n > 0) repetitions.push(await take());
  }
  return footprintOf(root, repetitions);
}

async function measureChunk(servers: BenchServers): Promise<Footprint> {
  const parts = await openWorkerParts(servers);
  const runChunk = createRunChunk(parts.chunks);
  const { id } = await planRunOf(parts);
  // The first chunk also starts the child.
  await runOne(parts, runChunk, id, 0);
  const sessions = [await attachToSelf(), await attachToInferenceChild(process.pid)];
  const take = async () => (await Promise.all(sessions.map((session) => session.take()))).flat();
  try {
    const repetitions: (readonly CoveredScript[])[] = [];
    for (let no = 1; no <= REPETITIONS; no++) {
      await take();
      await runOne(parts, runChunk, id, no);
      repetitions.push(await take());
    }
    return footprintOf(root, repetitions);
  } finally {
    for (const session of sessions) session.close();
    await parts.close();
  }
}

async function runOne({ chunks }: WorkerParts, runChunk: RunChunk, runId: string, no: number): Promise<void> {
  const report = await runChunk(runId, no);
  if (report.outcome !== 'committed') throw new Error(`chunk ${no} ended as ${report.outcome}`);
  await chunks.loads?.settled();
}

async function planRunOf({ runs }: WorkerParts) {
  const scope = { kind: 'all' } as const;
  const { run } = await runs.create({ predictor: 'bench', scope, reason: 'footprint', scheduleSlot: null });
  return planNow(runs, run.id);
}
