import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('reports all errors of the environment at once, in a readable line without a stack', () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [main], {
    env: { PATH: process.env.PATH, LOG_LEVEL: 'wran', INFERENCE_MEMORY_MB: '64' },
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([1, '']);
  const lines = stdout.trim().split('\n');
  expect(lines).toHaveLength(1);
  const { event, problem } = JSON.parse(lines[0] ?? '');
  expect(event).toBe('worker.refused');
  for (const variable of ['LOG_LEVEL', 'INFERENCE_MEMORY_MB', 'DATABASE_URL', 'REDIS_URL'])
    expect(problem).toContain(variable);
});
