/** Access to a cluster by `kubectl` and `helm` from the PATH, with the kubeconfig that they find. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../../e2e/until.fixture.ts';

const CHART = resolve(import.meta.dirname, '../../../deploy/helm');
export const RELEASE_NAME = 'tandem';
export const PEPPER = '0123456789abcdef0123456789abcdef';
const READY_WITHIN_MS = 300_000;

export interface Cluster {
  readonly namespace: string;
  /** Runs `kubectl` in the namespace and returns its output. */
  kubectl(...args: readonly string[]): Promise<string>;
  /** Installs or upgrades the chart and waits for its hooks and pods. Rejects with the output of `helm`. */
  install(values: Values): Promise<void>;
  helm(...args: readonly string[]): Promise<string>;
  /** Returns the address of a Service in the cluster, beginning with `http://` for HTTP. */
  addressOf(service: string): Promise<string>;
  readyReplicas(deployment: string): Promise<number>;
}

/** Values of the chart by path, such as `{ 'image.tag': '1' }`. */
export type Values = Readonly<Record<string, string | number | boolean>>;

export async function openCluster(namespace: string): Promise<Cluster> {
  const kubectl = (...args: readonly string[]) => run('kubectl', ['--namespace', namespace, ...args]);
  const helm = (...args: readonly string[]) => run('helm', ['--namespace', namespace, ...args]);
  await run('kubectl', ['create', 'namespace', namespace]).catch((error: unknown) => {
    if (!String(error).includes('AlreadyExists')) throw error;
  });
  return {
    namespace,
    kubectl,
    helm,
    async install(values) {
      const set = Object.entries(values).flatMap(([path, value]) => [
        typeof value === 'string' ? '--set-string' : '--set',
        `${path}=${value}`,
      ]);
      await helm('upgrade', '--install', RELEASE_NAME, CHART, ...set, '--wait', '--timeout', '300s');
    },
    addressOf: (service) => kubectl('get', 'service', service, '--output', 'jsonpath={.spec.clusterIP}'),
    async readyReplicas(deployment) {
      return Number(
        (await kubectl('get', 'deployment', deployment, '--output', 'jsonpath={.status.readyReplicas}')) || 0,
      );
    },
  };
}

/**
 * Starts Postgres and Redis, and creates the Secret of the chart's values. Resolves with Postgres' address for this
 * machine.
 */
export async function startStores({ kubectl, addressOf }: Cluster): Promise<string> {
  await kubectl('apply', '--filename', resolve(import.meta.dirname, 'stores.yaml'));
  await kubectl('rollout', 'status', 'statefulset/postgres', '--timeout=180s');
  await kubectl('rollout', 'status', 'deployment/redis', '--timeout=180s');
  await kubectl(
    ...[
      'create',
      'secret',
      'generic',
      'tandem',
      '--from-literal=database-url=postgres://postgres:postgres@postgres:5432/postgres',
    ],
    ...['--from-literal=redis-url=redis://redis:6379', `--from-literal=api-key-pepper=${PEPPER}`],
  );
  return `postgres://postgres:postgres@${await addressOf('postgres')}:5432/postgres`;
}

/** Waits until a Deployment has this number of ready pods. */
export function untilReplicas(cluster: Cluster, deployment: string, replicas: number): Promise<true> {
  const isThere = async () => (await cluster.readyReplicas(deployment)) === replicas;
  return until(`${deployment} has ${replicas} ready pods`, isThere, READY_WITHIN_MS) as Promise<true>;
}

async function run(program: string, args: readonly string[]): Promise<string> {
  try {
    return (await promisify(execFile)(program, args, { maxBuffer: 64 * 1024 * 1024 })).stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(' ')}:\n${stdout}${stderr || String(error)}`);
  }
}
