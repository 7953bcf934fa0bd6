import { existsSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { applyPatches, byFile } from '../faults/plant/patch.ts';
import { findMutants, mutants } from './mutants.ts';
import { failedFilesIn } from './test-run.ts';

const root = resolve(import.meta.dirname, '../../..');

describe.each(mutants)('$name', (mutant) => {
  it.each([...byFile([mutant])])('finds its places in %s once each, and leaves a file that loads', (file, patches) => {
    const text = readFileSync(join(root, file), 'utf8');
    const patched = applyPatches(text, patches);
    expect(patched).not.toBe(text);
    if (file.endsWith('.ts')) expect(stripTypeScriptTypes(patched)).not.toBe('');
  });

  it('names test files of npm test that exist', () => {
    expect(mutant.caughtBy.length).toBeGreaterThan(0);
    expect(mutant.caughtBy.filter((file) => !existsSync(join(root, file)))).toEqual([]);
    expect(mutant.caughtBy.filter((file) => !/\.test\.ts$/.test(file) || /\.long\.test\.ts$/.test(file))).toEqual([]);
  });
});

describe('mutants', () => {
  it('has ten mutants per area, ten negative controls in total, and unique names', () => {
    const sizes = [...Map.groupBy(mutants, ({ area }) => area)].map(([area, some]) => [area, some.length]);
    expect(Object.fromEntries(sizes)).toEqual({ freshness: 10, stores: 10, routes: 10 });
    expect(mutants.filter(({ isControl }) => isControl)).toHaveLength(10);
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
  });

  it('can be planted together, so that one compilation checks them all', () => {
    for (const [file, patches] of byFile(mutants)) applyPatches(readFileSync(join(root, file), 'utf8'), patches);
  });

  it('finds mutants by name, or all without a name, and rejects an unknown name', () => {
    expect(findMutants([])).toBe(mutants);
    expect(findMutants(['audit-for-readers', 'promote-swapped']).map(({ area }) => area)).toEqual(['routes', 'routes']);
    expect(() => findMutants(['audit'])).toThrow(/no mutant "audit"; choose from overlay-of-any-history, /);
  });
});

describe('failedFilesIn', () => {
  it('reads the files of failed tests and of suites that failed to load, each once', () => {
    const output = [
      ' ✓ |unit| libs/a/passed.test.ts (2 tests) 4ms',
      ' FAIL  |unit| libs/a/one.test.ts > judge > calls FAIL |x| libs/b/no.test.ts',
      ' FAIL  |unit| libs/a/one.test.ts > judge > another',
      ' FAIL  |end to end| apps/b/two.e2e.test.ts [ apps/b/two.e2e.test.ts ]',
      '1 passed, 3 failed',
    ].join('\n');
    expect([...failedFilesIn(output)]).toEqual(['libs/a/one.test.ts', 'apps/b/two.e2e.test.ts']);
  });
});
