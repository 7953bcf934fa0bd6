/**
 * Starts Postgres and Redis in containers of the official images. Each has a password, because an engine publishes
 * ports on every address of its machine. They end with the run. If the run is killed, a container of testcontainers
 * removes them.
 */
import { randomBytes } from 'node:crypto';
import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers';

export interface ContainerServer {
  readonly url: string;
  /** Removes the container and its data. */
  stop(): Promise<void>;
}

/** Allows for the initialization of a database on a busy machine. */
const READY_WITHIN_MS = 120_000;

export async function startPostgresContainer(image: string): Promise<ContainerServer> {
  const password = randomBytes(16).toString('hex');
  const container = await new GenericContainer(image)
    .withEnvironment({ POSTGRES_PASSWORD: password, POSTGRES_DB: 'tandem' })
    .withExposedPorts(5432)
    // Checked over TCP, because the server listens only on its socket while the image initializes the database.
    .withWaitStrategy(Wait.forSuccessfulCommand('pg_isready --host=127.0.0.1 --quiet'))
    .withStartupTimeout(READY_WITHIN_MS)
    .start();
  return server(container, `postgres://postgres:${password}@${address(container, 5432)}/tandem`);
}

export async function startRedisContainer(image: string): Promise<ContainerServer> {
  const password = randomBytes(16).toString('hex');
  const settings = ['--requirepass', password, '--maxmemory-policy', 'noeviction', '--save', '', '--appendonly', 'no'];
  const container = await new GenericContainer(image)
    .withCommand(['redis-server', ...settings])
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .withStartupTimeout(READY_WITHIN_MS)
    .start();
  return server(container, `redis://:${password}@${address(container, 6379)}`);
}

function address(container: StartedTestContainer, port: number): string {
  const host = container.getHost();
  return `${host.includes(':') ? `[${host}]` : host}:${container.getMappedPort(port)}`;
}

function server(container: StartedTestContainer, url: string): ContainerServer {
  return {
    url,
    stop: async () => {
      await container.stop({ timeout: 0 });
    },
  };
}
