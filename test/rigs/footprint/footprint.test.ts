import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { attachToSelf } from './coverage-session.ts';
import { footprintOf } from './footprint.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tandem-footprint-'));
  mkdirSync(join(root, 'libs/toy'), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const TOY = `
module.exports.read = function read(n) {
  // A comment does not count.
  const double = (one) =>
    one * 2;

  const unused = () => {
    return never();
  };
  if (n > 1) sometimes();
  return double(n);
};

function sometimes() {
  return 1;
}

function never() {}
`;

it('counts the code lines of the functions that ran in every repetition', async () => {
  const file = join(root, 'libs/toy/toy.cjs');
  writeFileSync(file, TOY);
  const session = await attachToSelf();
  // Loaded without the test runner, which changes the text of imported files.
  const toy = createRequire(import.meta.url)(file);
  const run = async (n: number) => {
    await session.take();
    toy.read(n);
    return session.take();
  };
  const footprint = footprintOf(root, [await run(2), await run(1)]);
  session.close();
  // 7 lines of `read`: its first line, the 2 lines of `double`, the line that defines `unused`, and the last 3 lines.
  expect([...footprint]).toEqual([['libs/toy/toy.cjs', 7]]);
});
