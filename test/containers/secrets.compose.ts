/** Tests which service gets which secrets, as Compose itself reads docker-compose.yml. Starts no container. */
import { expect, it } from 'vitest';
import { run } from './compose.fixture.ts';

interface Config {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly environment?: Readonly<Record<string, string>>;
        readonly volumes?: readonly {
          readonly source: string;
          readonly target: string;
          readonly read_only?: boolean;
        }[];
      }
    >
  >;
}

const KEYED = ['api', 'first-runs', 'migrate'];

it.each([
  ['alone', []],
  ['with the operator’s own model and Postgres', ['deploy/own-model.yml', 'deploy/own-postgres.yml']],
])('gives the pepper only to services that check or create keys, %s', async (_, more) => {
  const files = ['docker-compose.yml', ...more].flatMap((file) => ['--file', file]);
  const env = { ...process.env, TANDEM_CONFIG: '/srv', TANDEM_DATABASE_URL_FILE: '/srv/database-url' };
  const text = await run('docker', ['compose', ...files, '--profile', '*', 'config', '--format', 'json'], env);
  const { services } = JSON.parse(text) as Config;
  const named = Object.entries(services);
  const having = named.filter(([, { volumes = [] }]) => volumes.some(({ source }) => source === 'pepper'));
  expect(having.map(([name]) => name).sort()).toEqual([...KEYED, 'secrets'].sort());
  for (const [name, { volumes = [] }] of having) {
    const readOnly = volumes.filter(({ source }) => source === 'pepper').map(({ read_only }) => read_only === true);
    expect([name, readOnly]).toEqual([name, [name !== 'secrets']]);
  }
  const told = named.filter(([, { environment = {} }]) => 'API_KEY_PEPPER_FILE' in environment);
  expect(told.map(([name]) => name).sort()).toEqual(KEYED);
  for (const [name, { environment = {}, volumes = [] }] of told) {
    const { target } = volumes.find(({ source }) => source === 'pepper') ?? {};
    expect([name, environment.API_KEY_PEPPER_FILE]).toEqual([name, `${target}/api-key-pepper`]);
  }
});
