/** Checks which environment variables docker-compose.yml passes to the services. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readEnvironment } from '@tandem/config/environment/environment';
import { expect, it } from 'vitest';
import { artifacts } from '../../libs/config/environment/environment-sections.ts';

const compose = readFileSync(join(import.meta.dirname, '../../docker-compose.yml'), 'utf8');

/** Returns the further indented lines below a heading. */
function blockOf(heading: string, text = compose): string {
  const [, indent = '', rest = ''] = new RegExp(`^( *)${heading}.*\n((?:\\1 +.*\n|\n)*)`, 'm').exec(text) ?? [];
  expect([heading, rest]).not.toEqual([heading, indent]);
  return rest;
}

it('API and worker both get every variable of the bucket for model files', () => {
  const asked = new Set<string>();
  const env = new Proxy<Record<string, string>>(
    { ARTIFACT_URL: 's3://models', ARTIFACT_ACCESS_KEY_ID: 'id', ARTIFACT_SECRET_ACCESS_KEY: 'secret' },
    {
      get(values, name) {
        if (typeof name === 'string') asked.add(name.replace(/_FILE$/, ''));
        return Reflect.get(values, name);
      },
    },
  );
  readEnvironment(env, { artifacts });
  const passed = [...blockOf('x-artifacts:').matchAll(/^ +(\w+): \$\{(\w+):-\}$/gm)].map(([, to, from]) => [to, from]);
  expect(passed).toEqual(expect.arrayContaining([...asked].map((name) => [name, name])));
  expect(asked.size).toBe(5);
  for (const service of ['api', 'worker']) expect(blockOf(`${service}:`)).toContain('*artifacts]');
});
