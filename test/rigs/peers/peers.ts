/**
 * The servers: Tandem and its peers, each started as its own documentation recommends for production. Access logs are off
 * everywhere; metrics that a server collects by default stay on.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findFreePort } from '@tandem/local-servers/ports';
import { startApi, type Variables } from '../bench/service.ts';
import { type Launch, launch, type RunningServer } from './running-server.ts';
import type { Environment, EnvironmentName } from './virtual-environments.ts';
import type { ModelName, World } from './world.ts';

const run = promisify(execFile);
const programs = join(import.meta.dirname, 'programs');

export interface StartOptions {
  readonly world: World;
  /** The number of serving processes. */
  readonly workers: number;
  readonly model: ModelName;
}

export interface Peer {
  readonly name: EnvironmentName;
  readonly title: string;
  /** The packages whose versions are in the report. */
  readonly packages: readonly string[];
  /** The free memory that the server needs, in MB. */
  readonly memoryMb: number;
  /** Writes the stored predictions to the server's store. Called once, before the first start. */
  prepare?(environment: Environment, world: World): Promise<void>;
  start(environment: Environment, options: StartOptions): Promise<RunningServer>;
}

/** Starts one API process per worker on one port, each with one inference child. */
export function startTandem({ world, workers }: StartOptions): Promise<RunningServer> {
  return startApi(world.servers, { API_PROCESSES: `${workers}`, INFERENCE_PROCESSES: '1' });
}

const fastapi: Peer = {
  name: 'fastapi',
  title: 'FastAPI',
  packages: ['fastapi', 'uvicorn', 'uvloop', 'httptools', 'redis', 'hiredis', 'asyncpg', 'onnxruntime'],
  memoryMb: 1_000,
  async prepare({ python }, world) {
    const script = join(programs, 'fastapi/store_predictions.py');
    await run(python, [script, world.predictionsFile], { env: environmentOf(world, world.servers.env) });
  },
  async start({ bin }, { world, workers, model }) {
    const { servers, modelFile } = world;
    const port = await findFreePort();
    return launchPeer(world, 'fastapi', port, {
      command: join(bin, 'uvicorn'),
      args: ['app:app', ...at(port), '--workers', `${workers}`, '--no-access-log', '--log-level', 'warning'],
      folder: join(programs, 'fastapi'),
      variables: { ...servers.env, MODEL: modelFile(model), TABLE: `${model}_features` },
      readyPath: '/openapi.json',
    });
  },
};

const mlserver: Peer = {
  name: 'mlserver',
  title: 'MLServer',
  packages: ['mlserver', 'onnxruntime'],
  memoryMb: 1_500,
  async start({ bin }, { world, workers, model }) {
    const folder = join(world.folder, `mlserver-${model}-${workers}`);
    await mkdir(folder, { recursive: true });
    const [port = 0, grpc = 0, metrics = 0] = await Promise.all([findFreePort(), findFreePort(), findFreePort()]);
    const settings = {
      ...{ host: '127.0.0.1', http_port: port, grpc_port: grpc, metrics_port: metrics, debug: false },
      // With 0 the model runs in the answering process, which is the cheapest way with one worker.
      parallel_workers: workers === 1 ? 0 : workers,
    };
    const modelSettings = {
      ...{ name: 'scores', implementation: 'onnx_runtime.OnnxModel', parameters: { uri: world.modelFile(model) } },
      ...{ max_batch_size: 64, max_batch_time: 0.001 },
    };
    await writeFile(join(folder, 'settings.json'), JSON.stringify(settings));
    await writeFile(join(folder, 'model-settings.json'), JSON.stringify(modelSettings));
    return launchPeer(world, 'mlserver', port, {
      ...{ command: join(bin, 'mlserver'), args: ['start', folder], folder },
      variables: { PYTHONPATH: join(programs, 'mlserver') },
      readyPath: '/v2/models/scores/ready',
    });
  },
};

const bentoml: Peer = {
  name: 'bentoml',
  title: 'BentoML',
  packages: ['bentoml', 'onnxruntime'],
  memoryMb: 1_500,
  async start({ bin }, options) {
    const { world } = options;
    const port = await findFreePort();
    return launchPeer(world, 'bentoml', port, {
      command: join(bin, 'bentoml'),
      args: ['serve', 'service:Scores', ...at(port)],
      folder: join(programs, 'bentoml'),
      variables: {
        ...modelVariables(options),
        ...{ BENTOML_HOME: join(world.folder, 'bentoml'), BENTOML_DO_NOT_TRACK: 'True' },
      },
      readyPath: '/readyz',
    });
  },
};

const ray: Peer = {
  name: 'ray',
  title: 'Ray Serve',
  packages: ['ray', 'onnxruntime'],
  memoryMb: 3_000,
  async start({ python }, options) {
    const { world } = options;
    const port = await findFreePort();
    return launchPeer(world, 'ray', port, {
      ...{ command: python, args: ['app.py'], folder: join(programs, 'ray') },
      variables: {
        ...modelVariables(options),
        PORT: `${port}`,
        // Paths of Unix sockets have at most 107 bytes.
        ...{ RAY_FOLDER: join(world.folder, 'r'), RAY_USAGE_STATS_ENABLED: '0', RAY_SERVE_THROUGHPUT_OPTIMIZED: '1' },
      },
      readyPath: '/infer',
    });
  },
};

/** Turns off Feast's default restart of a worker after 1,000 requests, which would close connections under load. */
const WITHOUT_RESTARTS = ['--max-requests', '0'];

const feast: Peer = {
  name: 'feast',
  title: 'Feast',
  packages: ['feast', 'redis', 'uvicorn'],
  memoryMb: 1_500,
  async prepare({ python }, world) {
    const { hostname, port, password } = new URL(world.servers.env.REDIS_URL);
    const store = { type: 'redis', connection_string: `${hostname}:${port}${password ? `,password=${password}` : ''}` };
    const repository = {
      ...{ project: 'peers', provider: 'local', registry: 'registry.db', entity_key_serialization_version: 3 },
      ...{ online_store: store, offline_store: { type: 'file' } },
    };
    const folder = feastFolder(world);
    await cp(join(programs, 'feast'), folder, { recursive: true });
    // JSON is valid YAML.
    await writeFile(join(folder, 'feature_store.yaml'), JSON.stringify(repository));
    await run(python, ['store_predictions.py', world.predictionsFile], { cwd: folder, env: environmentOf(world) });
  },
  async start({ bin }, { world, workers }) {
    const port = await findFreePort();
    return launchPeer(world, 'feast', port, {
      command: join(bin, 'feast'),
      args: ['serve', ...at(port), '--workers', `${workers}`, '--no-access-log', ...WITHOUT_RESTARTS],
      folder: feastFolder(world),
      variables: {},
      readyPath: '/health',
    });
  },
};

export const PEERS: readonly Peer[] = [fastapi, mlserver, bentoml, feast, ray];

function feastFolder({ folder }: World): string {
  return join(folder, 'feast');
}

/** Returns the environment variables of a program that serves the model with this number of workers. */
function modelVariables({ world, workers, model }: StartOptions): Variables {
  return { MODEL: world.modelFile(model), WORKERS: `${workers}` };
}

function at(port: number): string[] {
  return ['--host', '127.0.0.1', '--port', `${port}`];
}

function launchPeer(
  world: World,
  name: EnvironmentName,
  port: number,
  options: Omit<Launch, 'url' | 'logFile'>,
): Promise<RunningServer> {
  const logFile = join(world.folder, `${name}.log`);
  return launch({
    ...options,
    variables: environmentOf(world, options.variables),
    url: `http://127.0.0.1:${port}`,
    logFile,
  });
}

/**
 * Returns an environment without telemetry, which keeps byte code out of the sources and settings out of the home
 * folder.
 */
function environmentOf({ folder }: World, variables: Variables = {}): Record<string, string> {
  const own = { PATH: process.env.PATH ?? '', HOME: folder, LANG: 'C.UTF-8' };
  return { ...own, PYTHONDONTWRITEBYTECODE: '1', FEAST_USAGE: 'False', ...variables };
}
