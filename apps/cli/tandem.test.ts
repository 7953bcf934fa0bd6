/** Tests of the command that npm links in a clone as node_modules/.bin/tandem. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import manifest from './package.json' with { type: 'json' };

const BIN = join(import.meta.dirname, manifest.bin.tandem);

function start(...options: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...options, BIN, '--version'], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

test('a Node that cannot run TypeScript gets one line that says what to do', () => {
  const { status, stdout, stderr } = start('--no-experimental-strip-types');
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toMatch(/^tandem: needs Node 22\.18 or newer, but this is [\d.]+; run npx tandem, .+\n$/);
});

test('a newer Node runs the command', () => {
  expect(start()).toEqual({ status: 0, stdout: `${manifest.version}\n`, stderr: '' });
});
