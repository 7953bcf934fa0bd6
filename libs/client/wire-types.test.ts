import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MAX_OUTCOMES } from '@tandem/wire/outcomes';
import { expect, test } from 'vitest';
import { MAX_OUTCOMES as MOST_SENT } from './outcomes.ts';

test('the committed types are up to date with the wire’s schemas (`npm run generate`)', () => {
  const main = join(import.meta.dirname, '../../scripts/generate-client-types.ts');
  const { stdout, stderr } = spawnSync(process.execPath, [main, '--print'], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(readFileSync(join(import.meta.dirname, 'wire-types.ts'), 'utf8')).toBe(stdout);
});

test('a call may send as many outcomes as the service accepts', () => {
  expect(MOST_SENT).toBe(MAX_OUTCOMES);
});
