/**
 * Starts processes as in production, and returns every port of the service except the API's HTTP port: the API's
 * metrics port and the worker's health port. The corpus has expectations for the API's port.
 */
import { endPrograms, type Program, startProgram } from '../../e2e/program.fixture.ts';
import type { Stores } from './service.ts';

export interface Port {
  readonly name: 'API metrics' | 'worker health';
  readonly port: number;
  readonly program: Program;
  /** The paths that the port answers with status 200. */
  readonly paths: readonly string[];
}

export interface OtherPorts {
  readonly ports: readonly Port[];
  /** The URL of the API, which serves the OpenAPI document. */
  readonly apiUrl: string;
  close(): Promise<void>;
}

/** @param stores a migrated database, and a Redis without other clients */
export async function startOtherPorts({ databaseUrl, redisUrl }: Stores): Promise<OtherPorts> {
  const environment = { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, INFERENCE_PROCESSES: '1' };
  const api = startProgram('api', { ...environment, PORT: '0', METRICS_PORT: '0' });
  const worker = startProgram('worker', { ...environment, WORKER_PORT: '0' });
  const close = () => endPrograms([api, worker]);
  try {
    const { url, metrics } = await api.logged('api.started');
    const { port } = await worker.logged('worker.listening');
    const ports: Port[] = [
      { name: 'API metrics', port: Number(new URL(String(metrics)).port), program: api, paths: ['/metrics'] },
      { name: 'worker health', port: Number(port), program: worker, paths: ['/livez', '/metrics'] },
    ];
    return { ports, apiUrl: String(url), close };
  } catch (error) {
    await close();
    throw error;
  }
}
