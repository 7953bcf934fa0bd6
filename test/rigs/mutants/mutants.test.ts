import { existsSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readGuarantees } from '../../contract/guarantees.ts';
import { applyPatches, byFile } from '../faults/plant/patch.ts';
import { guaranteeMutants } from './guarantees.ts';
import { findMutants, mutants, testsOf } from './mutants.ts';
import { failedTestsIn, hasFailed, isLong } from './test-run.ts';

const root = resolve(import.meta.dirname, '../../..');

describe.each(mutants)('$name', (mutant) => {
  it.each([...byFile([mutant])])('finds its places in %s once each, and leaves a file that loads', (file, patches) => {
    const text = readFileSync(join(root, file), 'utf8');
    const patched = applyPatches(text, patches);
    expect(patched).not.toBe(text);
    if (file.endsWith('.ts')) expect(stripTypeScriptTypes(patched)).not.toBe('');
  });

  it('names tests that exist', () => {
    const tests = testsOf(mutant);
    expect(tests.length).toBeGreaterThan(0);
    expect(tests.filter(({ file }) => !/\.test\.ts$/.test(file) || !existsSync(join(root, file)))).toEqual([]);
    // Only the tests of guarantees may be long.
    if (!('guarantee' in mutant)) expect(tests.filter(isLong)).toEqual([]);
  });
});

describe('mutants of guarantees', () => {
  it('break every guarantee of docs/guarantees.md, and no other', () => {
    const numbers = new Set(guaranteeMutants.map(({ guarantee }) => guarantee));
    expect([...numbers].sort((a, b) => a - b)).toEqual(readGuarantees().map(({ no }) => no));
  });

  it('are caught by the test that the page names, and only by that test', () => {
    const named = readGuarantees().find(({ no }) => no === 7)?.tests[1];
    const [first, second] = guaranteeMutants.filter(({ guarantee }) => guarantee === 7);
    expect(second && testsOf(second)).toEqual([named]);
    expect(first && testsOf(first)).not.toEqual([named]);
    expect(() => testsOf({ guarantee: 41, name: 'x', what: 'x', patches: [] })).toThrow('no test 0 of guarantee 41');
    expect(() => testsOf({ guarantee: 1, test: 9, name: 'x', what: 'x', patches: [] })).toThrow('no test 9 of');
  });
});

describe('mutants', () => {
  it('have unique names', () => {
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
  });

  it('can be planted together, so that one compilation checks them all', () => {
    for (const [file, patches] of byFile(mutants)) applyPatches(readFileSync(join(root, file), 'utf8'), patches);
  });

  it('are found by name and by guarantee, or all without either; an unknown one is rejected', () => {
    expect(findMutants([])).toBe(mutants);
    expect(findMutants(['audit-for-readers', 'label-one-below']).map(({ name }) => name)).toEqual([
      'audit-for-readers',
      'label-one-below',
    ]);
    expect(findMutants([], ['2', '7']).map((one) => 'guarantee' in one && one.guarantee)).toEqual([2, 7, 7]);
    expect(() => findMutants(['audit'])).toThrow(/no mutant "audit"; choose from label-one-below, /);
    expect(() => findMutants([], ['41'])).toThrow('--guarantee takes a number of docs/guarantees.md, not "41"');
  });
});

describe('the failed tests in an output', () => {
  const output = [
    ' ✓ |unit| libs/a/passed.test.ts (2 tests) 4ms',
    ' FAIL  |unit| libs/a/one.test.ts > judge > calls FAIL |x| libs/b/no.test.ts',
    ' FAIL  |unit| libs/a/one.test.ts > judge > stores no (wrong) label if a rollback comes',
    ' FAIL  |end to end| apps/b/two.e2e.test.ts [ apps/b/two.e2e.test.ts ]',
    '1 passed, 3 failed',
  ].join('\n');
  const failed = failedTestsIn(output);
  const [one, two] = ['libs/a/one.test.ts', 'apps/b/two.e2e.test.ts'];

  it('have their file and their titles; a file that failed to load has no title', () => {
    expect(failed).toEqual([
      { file: one, name: 'judge > calls FAIL |x| libs/b/no.test.ts' },
      { file: one, name: 'judge > stores no (wrong) label if a rollback comes' },
      { file: two, name: '' },
    ]);
  });

  it('are found by file, or by file and whole title with any text for a placeholder', () => {
    expect(hasFailed({ file: two, title: null }, failed)).toBe(true);
    expect(hasFailed({ file: one, title: 'stores no (wrong) label if %s comes' }, failed)).toBe(true);
    expect(hasFailed({ file: one, title: 'no (wrong) label if %s' }, failed)).toBe(false);
    expect(hasFailed({ file: two, title: 'stores no (wrong) label if %s comes' }, failed)).toBe(false);
  });
});
