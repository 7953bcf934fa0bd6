/** The service under load: one API on its own core, with Postgres, Redis and the generator on the other core. */
import { availableParallelism } from 'node:os';
import { createClient } from '@tandem/client/create-client';
import { findFreePort } from '@tandem/local-servers/ports';
import { endPrograms, type Program, startProgram } from '../../e2e/program.fixture.ts';
import { type BenchServers, startServers, startWorker } from '../bench/service.ts';
import { pin } from './pinning.ts';
import { adoptSlowPredictors, LENIENT, type SlowUsers, slowDown } from './slow-predictors.ts';

export const SERVICE_PROCESSOR = 0;
const GENERATOR_PROCESSOR = 1;
const LOG_LINES = 200;

export interface LoadedApi extends Program {
  readonly url: string;
  readonly port: number;
}

export interface World {
  readonly servers: BenchServers;
  /**
   * Starts an API. Resolves when it answers.
   * @param limit is called with the process id as soon as the process exists
   */
  startApi(
    environment?: Readonly<Record<string, string>>,
    limit?: (pid: number) => Promise<unknown>,
  ): Promise<LoadedApi>;
  close(): Promise<void>;
}

/** Creates the world, with stored predictions of all users for LENIENT. */
export async function createWorld(slow: SlowUsers, say: (line: string) => void): Promise<World> {
  if (availableParallelism() > 1) await pin(process.pid, GENERATOR_PROCESSOR);
  const servers = await startServers();
  const programs: Program[] = [];
  // Found in advance, so that a program starts at the moment of the call.
  const freePorts = await Promise.all(Array.from({ length: 8 }, findFreePort));

  const startApi: World['startApi'] = async (environment = {}, limit = async () => {}) => {
    const port = freePorts.shift() ?? (await findFreePort());
    const sizes = { INFERENCE_PROCESSES: '1', LOG_LEVEL: 'warn', PORT: String(port) };
    const api = startProgram('api', { ...servers.env, ...sizes, ...environment }, { mostLines: LOG_LINES });
    programs.push(api);
    await limit(api.pid);
    await pin(api.pid, SERVICE_PROCESSOR);
    await answers(api, port);
    return { ...api, port, url: `http://127.0.0.1:${port}` };
  };

  try {
    await adoptSlowPredictors(servers.pool, slow);
    const api = await startApi();
    await storePredictions(servers, api.url);
    api.kill('SIGTERM');
    await api.ended;
    const turns = await slowDown(servers.pool, slow);
    say(`model: ${turns} iterations for ${slow.rowMs} ms a user, live within ${slow.liveTimeoutMs} ms`);
  } catch (error) {
    await servers.stop();
    throw error;
  }
  return {
    servers,
    startApi,
    async close() {
      await endPrograms(programs);
      await servers.stop();
    },
  };
}

async function storePredictions(servers: BenchServers, url: string): Promise<void> {
  const worker = await startWorker(servers);
  const tandem = createClient({ url });
  const { id } = await tandem.runs.start({ predictor: LENIENT, scope: 'all' });
  for await (const _ of tandem.runs.watch(id));
  await worker.stop();
}

async function answers(api: Program, port: number): Promise<void> {
  for (const end = performance.now() + 120_000; performance.now() < end && !api.hasEnded(); ) {
    const response = await fetch(`http://127.0.0.1:${port}/livez`).catch(() => null);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the API does not answer: ${JSON.stringify(api.lines.slice(-5))}`);
}
