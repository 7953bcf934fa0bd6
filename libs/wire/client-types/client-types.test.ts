import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('the committed types of the client are those that the schemas give: else `npm run generate`', () => {
  const main = join(import.meta.dirname, 'main.ts');
  const { stdout, stderr } = spawnSync(process.execPath, [main, '--print'], { encoding: 'utf8' });
  expect(stderr).toBe('');
  const committed = readFileSync(join(import.meta.dirname, '../../client/wire-types.ts'), 'utf8');
  expect(committed).toBe(stdout);
});
