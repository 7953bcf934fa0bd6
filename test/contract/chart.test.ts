/** Compares deploy/helm with the code: the release and the environment variables. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readEnvironment } from '@tandem/config/environment/environment';
import * as sections from '@tandem/config/environment/environment-sections';
import { createMetrics } from '@tandem/telemetry/metrics';
import { RELEASE } from '@tandem/telemetry/release';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

it('the chart, the package and the code name the same release', () => {
  const chart = read('deploy/helm/Chart.yaml');
  expect(/^version: (.+)$/m.exec(chart)?.[1]).toBe(RELEASE);
  expect(/^appVersion: (.+)$/m.exec(chart)?.[1]).toBe(RELEASE);
  expect(JSON.parse(read('package.json')).version).toBe(RELEASE);
});

it('each URL and secret that the services read as a file comes from a Secret, and none from a plain variable', () => {
  const asFiles = new Set<string>();
  const values: Record<string, string> = {
    DATABASE_URL: 'postgres://h/d',
    REDIS_URL: 'redis://h',
    ARTIFACT_URL: 's3://b',
    ARTIFACT_ACCESS_KEY_ID: 'a',
    ARTIFACT_SECRET_ACCESS_KEY: 'b',
  };
  const env = new Proxy(values, {
    get(all, name) {
      if (typeof name === 'string' && name.endsWith('_FILE')) asFiles.add(name.slice(0, -'_FILE'.length));
      return Reflect.get(all, name);
    },
  });
  const { database, redis, apiKeys, artifacts } = sections;
  readEnvironment(env, { database, redis, apiKeys, artifacts });
  // The bucket's addresses hold no secret.
  for (const name of ['ARTIFACT_URL', 'ARTIFACT_ENDPOINT']) asFiles.delete(name);
  const helpers = read('deploy/helm/templates/_helpers.tpl');
  const mounted = new Set([...helpers.matchAll(/^ {2}"([A-Z_]+)" /gm)].map(([, name]) => name));
  expect([...mounted].sort()).toEqual([...asFiles].sort());
  const refused = new RegExp(/regexMatch "(.+)" \$name/.exec(helpers)?.[1] ?? '(?!)');
  for (const name of asFiles) expect([name, refused.test(name)]).toEqual([name, true]);
});

it('workers are scaled by a metric that the API exports, one worker per unit, from zero on', async () => {
  const template = read('deploy/helm/templates/worker.yaml');
  const metric = /^ +valueLocation: (\w+)$/m.exec(template)?.[1];
  expect(metric).toBe('tandem_desired_workers');
  expect(await createMetrics({ app: 'api' }).exposition()).toContain(`# TYPE ${metric} gauge`);
  expect(template).toMatch(/^ +targetValue: "1"$/m);
  const { properties } = JSON.parse(read('deploy/helm/values.schema.json'));
  expect(properties.worker.properties.keda.properties.minReplicas.minimum).toBe(0);
});

it('the number of API processes of a pod is a value of the chart, with the bounds of the environment variable', () => {
  const { properties } = JSON.parse(read('deploy/helm/values.schema.json'));
  const { minimum, maximum } = properties.api.properties.processes;
  const processesOf = (count: number) =>
    readEnvironment({ API_PROCESSES: String(count) }, { apiProcesses: sections.apiProcesses }).apiProcesses;
  expect([minimum, maximum].map(processesOf)).toEqual([minimum, maximum]);
  for (const count of [minimum - 1, maximum + 1]) expect(() => processesOf(count)).toThrow('API_PROCESSES');
  const helpers = read('deploy/helm/templates/_helpers.tpl');
  expect(helpers).toContain('fail "env.API_PROCESSES: set api.processes"');
});

it('API processes multiply the memory of a pod, and several have a primary of 100 Mi', () => {
  const memory = (processes: number) => {
    const $services = BigInt(processes);
    const $primary = computed(/\$primary := (.+) }}/, { $services });
    const names = { $services, $primary, $processes: 2n, $one: 512n };
    const of = (kind: string) => computed(new RegExp(`"${kind}" .*printf "%dMi" \\((.+)\\)\\)\\)`), names);
    return [of('requests'), of('limits')];
  };
  // Each process needs 400 Mi and an inference process. The limit has room for two more inference processes.
  expect(memory(1)).toEqual([400n + 2n * 512n, 400n + 4n * 512n]);
  expect(memory(3)).toEqual([100n + 3n * (400n + 2n * 512n), 100n + 3n * (400n + 4n * 512n)]);
  expect(read('deploy/helm/templates/_helpers.tpl')).toContain('$services := int64 (.processes | default 1)');
});

/** Helm's template functions for whole numbers. */
const FUNCTIONS: Readonly<Record<string, (...values: bigint[]) => bigint>> = {
  add: (...values) => values.reduce((sum, value) => sum + value),
  mul: (...values) => values.reduce((product, value) => product * value),
  gt: (a = 0n, b = 0n) => (a > b ? 1n : 0n),
  ternary: (yes = 0n, no = 0n, is = 0n) => (is ? yes : no),
};

/** Returns the value of the expression that `place` finds in the chart's helpers: a call, with other calls in parentheses. */
function computed(place: RegExp, names: Readonly<Record<string, bigint>>): bigint {
  let text = place.exec(read('deploy/helm/templates/_helpers.tpl'))?.[1] ?? '';
  const numberOf = (word: string) => names[word] ?? BigInt(word);
  const call = (words: string): string => {
    const [name = '', ...values] = words.trim().split(/\s+/);
    return String(FUNCTIONS[name]?.(...values.map(numberOf)));
  };
  while (text.includes('(')) text = text.replace(/\(([^()]*)\)/, (_, words: string) => call(words));
  return BigInt(call(text));
}
